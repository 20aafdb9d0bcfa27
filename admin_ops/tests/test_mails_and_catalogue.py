"""“Did you send me that mail?”, what an invoice is made of, what is for sale, and which events came."""

from datetime import timedelta

import pytest
from django.utils import timezone

from admin_ops.tests.pages import confirm_form, open_admin_site
from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing import checkouts
from saas.billing.models import Customer, Invoice, Plan, Price, Subscription
from saas.mail.actions import queue_mail
from saas.mail.models import Mail
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def changed(customer):
    """A mail without a link."""
    Mail.objects.all().delete()
    queue_mail("password_changed", to=customer.user.email, context={"name": "Kim"}, dedupe_key="changed")
    return Mail.objects.get()


def test_a_persons_mails_are_on_their_page_and_can_be_sent_again(admin_site, customer, staff_member, changed):
    Mail.objects.update(status="sent", locale="de")
    page = f"/admin/accounts/user/{customer.user.pk}/change/"

    content = admin_site.get(page).content.decode()
    shown = admin_site.get(f"/admin/mail/mail/{changed.pk}/change/").content.decode()
    done = admin_site.submit_form(f"/admin/mail/mail/{changed.pk}/do/resend/?back={page}", {"reason": "not there"})

    assert (f"/admin/mail/mail/{changed.pk}/do/resend/?back=" in content, "Kim" in shown) == (True, True)
    assert done["Location"] == page
    again = Mail.objects.exclude(pk=changed.pk).get()
    assert (again.template, again.recipient, again.context) == (changed.template, changed.recipient, changed.context)
    assert again.locale == "de"
    audited = AuditEvent.objects.get(action="mail.resent")
    assert (audited.actor, audited.target, audited.reason) == (staff_member.user.pk, str(changed.pk), "not there")


def test_a_failed_mail_is_queued_again_as_it_is(admin_site, changed, django_capture_on_commit_callbacks):
    later = timezone.now() + timedelta(hours=6)
    Mail.objects.update(status="failed", attempts=6, last_error="550 no such mailbox", next_attempt_at=later)

    with django_capture_on_commit_callbacks() as told:
        admin_site.submit_form(f"/admin/mail/mail/{changed.pk}/do/resend/", {"reason": "corrected there"})

    assert list(Mail.objects.values_list("status", "attempts", "last_error")) == [("queued", 0, "")]
    assert Mail.objects.due(timezone.now()).exists()
    assert len(told) == 1


def test_a_link_that_works_once_is_not_shown_to_staff(admin_site, customer):
    queue_mail(
        "password_reset",
        to=customer.user.email,
        context={"name": "Kim"},
        dedupe_key="r",
        secrets={"token": "s3cretpart"},
    )
    mail = Mail.objects.get(dedupe_key="r")

    shown = admin_site.get(f"/admin/mail/mail/{mail.pk}/change/").content.decode()

    assert ("Its link works once" in shown, "s3cretpart" in shown, "/do/resend/" in shown) == (True, False, False)


def test_an_invoice_of_which_only_the_payment_is_known_is_not_listed(admin_site):
    Invoice.objects.create(external_id="in_stub", status="draft", amounts_are_known=False)

    assert "in_stub" not in admin_site.get("/admin/billing/invoice/").content.decode()


def test_an_invoice_shows_lines_tax_and_pdf(admin_site, customer):
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    paid = whole.invoice(
        7900,
        status="paid",
        amount_paid=7900,
        total_taxes=[{"amount": 1261}],
        invoice_pdf="https://pay.stripe.com/invoice/whole/pdf",
    )
    paid["lines"]["data"][0]["description"] = "1 × Growth"
    append_event(whole.event("invoice.paid", paid, id="evt_1"), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()

    shown = admin_site.get(f"/admin/billing/invoice/{Invoice.objects.get().pk}/change/").content.decode()

    assert ("1 × Growth" in shown, "12.61 USD" in shown) == (True, True)
    assert 'href="https://pay.stripe.com/invoice/whole/pdf"' in shown
    assert "Nothing of it was given back or disputed." in shown


def test_a_new_price_is_a_version_and_its_effect_is_said(admin_site, customer, staff_member):
    checkouts.start_checkout(customer.user, plan_id="growth")
    event_factories.drain()
    url, fields = (
        "/admin/billing/plan/growth/do/change-price/",
        {"amount": "99", "currency": "USD", "interval": "month"},
    )

    shown = admin_site.submit_form(url, {**fields, "preview": "1"}).content.decode()
    done = confirm_form(admin_site, url, {**fields, "reason": "dearer"})

    assert "New customers pay 99.00 USD a month instead of 79.00 USD" in shown
    assert "1 subscription bought the present price, and keep paying it." in shown
    assert (done.status_code, Plan.objects.get(pk="growth").price_cents) == (302, 9900)
    assert Subscription.objects.get().monthly_cents == 7900
    assert AuditEvent.objects.get(action="price.changed").reason == "dearer"
    assert "99.00 USD a month" in admin_site.get("/admin/billing/plan/").content.decode()


def test_a_plan_is_edited_and_archived(admin_site):
    admin_site.submit_form(
        "/admin/billing/plan/growth/do/edit/",
        {"name": "Grow", "description": "For more", "is_visible": "no", "position": "3", "reason": "renamed"},
    )
    admin_site.submit_form("/admin/billing/plan/growth/do/archive/", {"reason": "over"})

    plan = Plan.objects.get(pk="growth")
    assert (plan.name, plan.description, plan.is_visible, plan.position, plan.is_active) == (
        "Grow", "For more", False, 3, False,
    )  # fmt: skip


@pytest.mark.parametrize("role", [StaffRole.SUPPORT_WRITE, StaffRole.SUPPORT_READ, StaffRole.AUDITOR])
def test_only_admins_edit_the_catalogue(admin_ops, role):
    open_admin_site(admin_ops, user_factories.create_staff_member("", role))

    assert "/do/" not in admin_ops.get("/admin/billing/plan/growth/change/").content.decode()
    assert admin_ops.submit_form("/admin/billing/plan/growth/do/archive/", {"reason": "x"}).status_code == 403
    assert Price.objects.filter(plan="growth", is_current=True).exists()


def test_events_are_filtered_by_one_click_and_name_their_customer(admin_site, customer):
    checkouts.start_checkout(customer.user, plan_id="growth")
    failed = WebhookEvent.objects.filter(type="invoice.paid").get()
    WebhookEvent.objects.filter(pk=failed.pk).update(status="failed")

    everything = admin_site.get("/admin/webhook_events/webhookevent/").content.decode()
    trouble = admin_site.get("/admin/webhook_events/webhookevent/?show=trouble").content.decode()

    assert ("customer.subscription.created" in everything, customer.user.email in everything) == (True, True)
    assert ("customer.subscription.created" in trouble, failed.external_id in trouble) == (False, True)


def test_a_list_is_titled_as_the_menu_calls_it(admin_site):
    for name, page in [("Customers and staff", "accounts/user"), ("Audit trail", "audit/auditevent")]:
        assert f"<title>{name} |" in " ".join(admin_site.get(f"/admin/{page}/").content.decode().split()).replace(
            "<title> ", "<title>"
        )
