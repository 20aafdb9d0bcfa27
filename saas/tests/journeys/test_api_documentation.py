"""The documentation pages of the four services: complete for a screen reader, and linked with each other."""

import pytest

from saas.testing.browser import accessibility_faults
from saas.testing.servers.stack import SERVICES, Stack
from saas.tests.journeys.conftest import NewPage

pytestmark = pytest.mark.browser


def faults(page, url: str, loaded: str) -> list[str]:
    page.goto(url)
    page.locator(loaded).first.wait_for()
    return accessibility_faults(page)


@pytest.mark.parametrize("service", SERVICES)
def test_swagger_has_no_fault_of_accessibility_and_links_to_the_services(
    shared_stack: Stack, new_page: NewPage, service: str
) -> None:
    page = new_page(theme="light" if service in ("product", "parity") else "dark")

    assert faults(page, f"{shared_stack.urls[service]}/docs", ".opblock-summary") == []
    links = page.get_by_role("navigation", name="API").get_by_role("link")
    addresses = [link.get_attribute("href") for link in links.all()]
    assert addresses == [*(f"{shared_stack.urls[name]}/docs" for name in SERVICES), "/redoc", "/openapi.json"]
    page.get_by_role("heading", name="How to call it").wait_for()


def test_redoc_has_no_fault_of_accessibility(shared_stack: Stack, new_page: NewPage) -> None:
    assert faults(new_page(), f"{shared_stack.urls['webhooks']}/redoc", "redoc h2") == []
