"""``/dev/mail``: what a development system mails, with its links; nothing anywhere else."""

import pytest

from saas.mail import delivery
from saas.mail.actions import queue_mail
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person


@pytest.fixture
def development(settings) -> None:
    settings.MAILS_ARE_SHOWN = True


@pytest.mark.usefixtures("development")
def test_a_sent_mail_is_listed_and_shown_as_text_and_html_with_its_link(product, customer: Person) -> None:
    row = Mail.objects.get(template="welcome")
    delivery.deliver_mail(row.pk)

    listed = product.get("/dev/mail").content.decode()
    shown = product.get(f"/dev/mail/{row.pk}").content.decode()

    assert f'<a href="/dev/mail/{row.pk}">Welcome</a>' in listed
    assert (customer.user.email in listed, "sent" in listed) == (True, True)
    assert 'href="http://localhost:8000/verify?token=verify_' in shown  # in the text
    assert "href=&quot;http://localhost:8000/verify?token=verify_" in shown  # in the HTML


@pytest.mark.usefixtures("development")
def test_what_somebody_wrote_in_a_mail_is_not_run_on_the_page(product, db) -> None:
    context = {"agent": "<script>alert(1)</script>", "address": "192.0.2.1", "name": ""}
    queue_mail("new_device", to="kim@example.net", context=context, dedupe_key="one")

    page = product.get(f"/dev/mail/{Mail.objects.get().pk}")

    assert "<script" not in page.content.decode()
    assert "sandbox=" in page.content.decode()
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.usefixtures("development")
def test_a_mail_of_another_secret_key_is_shown_without_its_link(product, customer: Person, settings) -> None:
    row = Mail.objects.get(template="welcome")
    settings.SECRET_KEY = "another"

    assert f'<a href="/dev/mail/{row.pk}">Welcome</a>' in product.get("/dev/mail").content.decode()
    shown = product.get(f"/dev/mail/{row.pk}")
    assert (shown.status_code, b"Your account is ready" in shown.content) == (200, True)
    assert b"verify?token=" not in shown.content


@pytest.mark.usefixtures("development")
def test_a_mail_whose_template_is_gone_is_listed_by_its_name(product, db) -> None:
    queue_mail("module_that_was_removed", to="kim@example.net", context={}, dedupe_key="one")

    assert "module_that_was_removed</a>" in product.get("/dev/mail").content.decode()
    assert product.get(f"/dev/mail/{Mail.objects.get().pk}").status_code == 200


@pytest.mark.usefixtures("development")
def test_the_mailbox_is_read_only_and_knows_what_it_does_not_have(product: ServiceClient, db) -> None:
    assert product.get("/dev/mail").status_code == 200
    assert product.get("/dev/mail/1").status_code == 404
    assert product.send("DELETE", "/dev/mail").status_code == 403


@pytest.mark.parametrize("path", ["/dev/mail", "/dev/mail/{0}"])
def test_outside_development_there_is_no_such_page(product, customer: Person, path: str) -> None:
    answer = product.get(path.format(Mail.objects.get(template="welcome").pk))

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_outside_development_a_sent_mails_link_is_forgotten(product, customer: Person) -> None:
    delivery.deliver_mail(Mail.objects.get(template="welcome").pk)

    assert Mail.objects.get(template="welcome").sealed == {}
