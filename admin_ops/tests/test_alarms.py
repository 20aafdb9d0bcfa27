"""“I paid and have no access”: what is wrong stands on top of the page, with the event that says so and the button that helps."""

import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from admin_ops.tests.pages import open_admin_site
from saas.accounts.models import StaffRole
from saas.api.metrics import render_metrics
from saas.billing import checkouts
from saas.billing.alarms import AlarmKind, alarms_of_user, count_alarms
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, Plan, Price, Subscription
from saas.management.commands.doctor import open_alarms
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


def page_url(customer):
    return f"/admin/accounts/user/{customer.user.pk}/change/"


@pytest.fixture
def paid(customer):
    """A customer who has paid, and whose subscription's event failed."""
    checkouts.start_checkout(customer.user, plan_id="growth")
    event = WebhookEvent.objects.get(type="customer.subscription.created")
    WebhookEvent.objects.exclude(pk=event.pk).delete()
    Subscription.objects.all().delete()
    Invoice.objects.all().delete()
    WebhookEvent.objects.filter(pk=event.pk).update(status="failed", last_error="Broken: no such plan")
    return event


def test_a_persons_alarms_are_of_their_own_customers_whatever_the_address(customer, other):
    for number, person in enumerate((customer, other)):
        payer = Customer.objects.create(
            user=person.user, provider="stripe", external_id=f"cus_{number}", email=customer.user.email
        )
        Subscription.objects.create(customer=payer, external_id=f"sub_{number}", status="past_due", plan_id="growth")

    assert [alarm.external_id for alarm in alarms_of_user(customer.user)] == ["sub_0"]


def test_a_failed_event_stands_on_top_and_its_replay_leads_back(admin_site, customer, paid):
    before = admin_site.get(page_url(customer)).content.decode()
    replay = f"/admin/webhook_events/webhookevent/{paid.pk}/do/replay/"
    event_page = f"/admin/webhook_events/webhookevent/{paid.pk}/change/"

    done = admin_site.submit_form(replay, {"reason": "paid, no access", "back": page_url(customer)})
    waiting = admin_site.get(done["Location"]).content.decode()
    event_factories.drain()
    after = admin_site.get(page_url(customer)).content.decode()

    assert "The event customer.subscription.created had no effect: Broken: no such plan." in before
    assert (f'href="{event_page}"' in before, f'href="{replay}?back=' in before) == (True, True)
    assert done["Location"] == page_url(customer)
    assert ("1 event is being processed" in waiting, 'data-live="1500"' in waiting) == (True, True)
    assert ("Failed event" in after, 'data-live=""' in after, "Growth" in after) == (False, True, True)


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "/api/admin/users", "javascript:x"])
def test_a_form_leads_back_to_pages_of_ours_only(admin_site, customer, back):
    done = admin_site.submit_form(
        f"/admin/accounts/user/{customer.user.pk}/do/note/?back={back}", {"text": "called", "back": back}
    )

    assert done["Location"] == page_url(customer)


def tell(type, thing):
    append_event(
        whole.event(type, thing, id=f"evt_{WebhookEvent.objects.count()}"), source=WebhookEvent.Source.DELIVERY
    )
    event_factories.drain()


def unmapped_price(user):
    Customer.objects.create(user=user, provider="stripe", external_id="cus_1")
    price = whole.price("price_new", product="prod_new")
    tell("customer.subscription.created", whole.subscription(whole.subscription_item(price)))


def past_due(user):
    Customer.objects.create(user=user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    tell("customer.subscription.created", whole.subscription())
    Subscription.objects.update(status="past_due", past_due_since=timezone.now())


def paid_without_subscription(user):
    Customer.objects.create(user=user, provider="stripe", external_id="cus_1")
    tell("invoice.paid", whole.invoice(7900, status="paid", amount_paid=7900))


def pays_has_nothing(user):
    """Paid by hand at the provider, under an address that is not confirmed."""
    type(user).objects.update(email_verified_at=None)
    tell("customer.created", whole.customer(email=user.email.upper()))
    tell("customer.subscription.created", whole.subscription())


def charged_while_closed(user):
    past_due(user)
    Subscription.objects.update(status="active", past_due_since=None)
    type(user).objects.filter(pk=user.pk).update(status="disabled")


@pytest.mark.parametrize(
    ("arrange", "sentence", "remedy"),
    [
        (charged_while_closed, "79.00 USD a month is still charged, and the person cannot", "/do/cancel/"),
        (unmapped_price, "Price price_new stands for no plan.", "/do/map-price/"),
        (past_due, "79.00 USD a month are unpaid since", "/do/refresh/"),
        (paid_without_subscription, "79.00 USD were paid for sub_1, which is not here.", "/do/refresh/"),
        (pays_has_nothing, "pays, and no account has it.", "/do/link-customer/"),
    ],
)
def test_where_money_and_access_disagree_the_page_says_it_with_the_remedy(
    admin_site, customer, arrange, sentence, remedy
):
    arrange(customer.user)

    content = admin_site.get(page_url(customer)).content.decode()
    listed = admin_site.get(f"/admin/alarms/?kind={arrange.__name__}").content.decode()

    assert (sentence in content, sentence in listed) == (True, True)
    assert (remedy in content, remedy in listed) == (True, True)
    assert count_alarms() == {arrange.__name__: 1}


@pytest.mark.parametrize(
    ("status", "fields"),
    [("active", {"cancel_at_period_end": True}), ("canceled", {}), ("unpaid", {}), ("active", {"monthly_cents": 0})],
)
def test_a_banned_account_that_is_charged_nothing_raises_no_alarm(customer, status, fields):
    charged_while_closed(customer.user)

    Subscription.objects.update(status=status, **fields)

    assert AlarmKind.CHARGED_WHILE_CLOSED not in count_alarms()


def test_dashboard_list_doctor_and_metrics_count_the_same(admin_site, customer, paid):
    past_due(user_factories.create_customer().user)

    dashboard = admin_site.get("/admin/").content.decode()
    listed = admin_site.get("/admin/alarms/").content.decode()
    out = StringIO()
    with pytest.raises(SystemExit):  # no service runs here
        call_command("doctor", stdout=out)
    metrics = render_metrics().decode()

    assert count_alarms() == {"failed_event": 1, "past_due": 1}
    for kind in ("failed_event", "past_due"):
        assert f'<a href="/admin/alarms/?kind={kind}"><b>1</b> {AlarmKind(kind).label.lower()}</a>' in dashboard
        assert f'billing_alarms{{kind="{kind}"}} 1.0' in metrics
    assert "2 open (1 failed event, 1 past due): http://localhost:8001/admin/alarms/" in out.getvalue()
    assert (listed.count('role="alert"'), "All 2" in listed) == (2, True)


def test_who_may_only_read_sees_the_alarm_without_the_button(admin_ops, customer, paid):
    open_admin_site(admin_ops, user_factories.create_staff_member("", StaffRole.SUPPORT_READ))

    content = admin_ops.get(page_url(customer)).content.decode()

    assert ("had no effect" in content, "/do/" in content) == (True, False)


def test_without_an_alarm_the_list_says_what_would_stand_there(admin_site):
    assert "No open alarm." in admin_site.get("/admin/alarms/").content.decode()


def rows_of_every_kind(customer, plan):
    """One failed event, two payers without an account, and so on: a count that is another kind's would be seen."""
    banned = user_factories.create_customer().user
    type(banned).objects.filter(pk=banned.pk).update(status="disabled")
    closed = Customer.objects.create(user=banned, provider="stripe", external_id="cus_closed")
    mine = Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_mine")
    fields = {"currency": "usd", "monthly_cents": 7900, "plan": plan}
    paid = {"customer": mine, "currency": "usd", "total_cents": 100, "amount_paid_cents": 100}
    makers = {
        "failed_event": lambda name: WebhookEvent.objects.create(
            external_id=name, type="invoice.paid", status="failed", provider_created=timezone.now(), body_size=0
        ),
        "pays_has_nothing": lambda name: Subscription.objects.create(
            external_id=name,
            customer=Customer.objects.create(provider="stripe", external_id=f"cus_{name}"),
            status="active",
            **fields,
        ),
        "unmapped_price": lambda name: Subscription.objects.create(
            external_id=name, customer=mine, status="active", **{**fields, "plan": None}
        ),
        "paid_without_subscription": lambda name: Invoice.objects.create(
            external_id=name, status="paid", subscription_id="sub_gone", **paid
        ),
        "past_due": lambda name: Subscription.objects.create(
            external_id=name, customer=mine, status="past_due", **fields
        ),
        "needs_attention": lambda name: Invoice.objects.create(
            external_id=name, status="open", attention="its amount is no number", **paid
        ),
        "open_dispute": lambda name: InvoiceAdjustment.objects.create(external_id=name, kind="dispute", customer=mine),
        "fraud_warning": lambda name: InvoiceAdjustment.objects.create(
            external_id=name, kind="fraud_warning", customer=mine, charge_id=name
        ),
        "charged_while_closed": lambda name: Subscription.objects.create(
            external_id=name, customer=closed, status="active", **fields
        ),
    }
    counts = {kind: number for number, kind in enumerate(makers, start=1)}
    for kind, count in counts.items():
        for number in range(count):
            makers[kind](f"{kind}_{number}")
    return counts


def test_every_kind_is_counted_alike_by_dashboard_list_doctor_and_metrics(admin_site, customer):
    counts = rows_of_every_kind(customer, Plan.objects.get(pk="growth"))

    dashboard = admin_site.get("/admin/").content.decode()
    pages = {kind: admin_site.get(f"/admin/alarms/?kind={kind}").content.decode() for kind in counts}
    metrics = dict(re.findall(r'billing_alarms\{kind="(\w+)"\} (\d+)\.0', render_metrics().decode()))
    said = open_alarms()  # what `manage.py doctor` prints

    assert counts.keys() == set(AlarmKind.values)
    assert count_alarms() == counts
    linked = re.findall(r'<a href="/admin/alarms/\?kind=(\w+)"><b>(\d+)</b>', dashboard)
    assert {kind: int(count) for kind, count in linked} == counts
    assert {kind: page.count('role="alert"') for kind, page in pages.items()} == counts
    assert all(f"All {sum(counts.values())}<" in page for page in pages.values())
    assert {kind: int(count) for kind, count in metrics.items()} == counts
    for kind, count in counts.items():
        assert re.search(rf"[ (]{count} {AlarmKind(kind).label.lower()}[,)]", said)
    assert said.startswith(f"{sum(counts.values())} open (")
