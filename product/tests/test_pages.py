"""The plain pages that links in mails lead to."""

import re

from saas.testing.clients import ServiceClient


def test_the_invitations_page_is_html_that_loads_only_from_here(product: ServiceClient) -> None:
    answer = product.get("/invitations/accept", headers={"Accept": "text/html"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src" not in answer.headers["Content-Security-Policy"]  # default-src 'self' holds for scripts
    page = answer.content.decode()
    assert re.findall(r'(?:src|href)="([^"]+)"', page) == ["/static/product/pages.js"]
    assert 'data-action="/api/invitations/accept"' in page
    assert "onclick" not in page


def test_the_pages_script_is_served(product: ServiceClient) -> None:
    answer = product.get("/static/product/pages.js")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/javascript")


def test_a_page_is_only_read(product: ServiceClient) -> None:
    answer = product.post("/invitations/accept", {"token": "it_x"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
