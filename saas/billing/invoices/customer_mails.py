"""Mails to customers about payments. One for each fact, however many events report it; ``BILLING_MAILS`` names those sent."""

from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Q

from saas.accounts.models import User
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, PaymentMethod, Subscription
from saas.billing.models.customers import billing_path
from saas.billing.sync import stripe_objects
from saas.mail.actions import queue_mail
from saas.money import Money
from saas.security.untrusted_json import JSONObject, as_integer, as_object, as_text, as_time

_Context = dict[str, str | Money | datetime]
_RENEWALS = {"", "subscription_cycle"}
_YEARLY = timedelta(days=300)  # a longer period is announced before it is charged


def send_receipt(invoice_id: str) -> None:
    """For an invoice that took money. ``invoice_id`` is the provider's, as below."""
    row = _invoice(invoice_id, Invoice.Status.PAID)
    if row and row.amounts_are_known and row.amount_paid_cents > 0:
        _send_of_invoice("receipt", row, row.amount_paid)


def send_payment_failed(invoice_id: str, shown: JSONObject) -> None:
    """``shown`` is the invoice as the event shows it. Sends nothing for one that has been paid since, has no customer of ours, or
    that its payer is asked to confirm: the bank's refusal is reported as a failure, too."""
    row = _invoice(invoice_id, Invoice.Status.OPEN)
    if row is None or (row.needs_action and "payment_action_required" in settings.BILLING_MAILS):
        return
    promises: _Context = {}
    if _begins_grace(row, shown):
        promises["keeps_plan"] = "yes"
    if as_time(shown.get("next_payment_attempt")):
        promises["is_retried"] = "yes"
    _send_of_invoice("payment_failed", row, row.amount_remaining, **promises)


def _begins_grace(row: Invoice, shown: JSONObject) -> bool:
    """Whether the plan goes on for the days of grace, which begin with the first attempt: not for a first payment, a change that
    waits for its payment, or a subscription that is over."""
    is_first = as_integer(shown.get("attempt_count")) in {None, 0, 1}
    is_renewal = as_text(shown.get("billing_reason"), 64) in _RENEWALS
    return is_first and is_renewal and Subscription.objects.live().filter(external_id=row.subscription_id).exists()


def send_action_required(invoice_id: str) -> None:
    """The bank asks the payer to confirm, on the provider's page."""
    if row := _invoice(invoice_id, Invoice.Status.OPEN):
        _send_of_invoice("payment_action_required", row, row.amount_remaining)


def send_refunded(adjustment: InvoiceAdjustment) -> None:
    number = adjustment.invoice.number if adjustment.invoice else ""
    context: _Context = {"amount": adjustment.amount, "number": number}
    _send("payment_refunded", adjustment.customer, context, key=f"payment_refunded:{adjustment.external_id}")


def send_upcoming_renewal(invoice: JSONObject) -> None:
    """For an upcoming invoice of a year or so; it has no row, and often no id."""
    subscription_id = stripe_objects.invoice_subscription(invoice)
    row = _renewing(subscription_id)
    at = as_time(invoice.get("next_payment_attempt")) or as_time(invoice.get("period_end"))
    due = as_integer(invoice.get("amount_due"))
    if row is None or at is None or not due or not _is_yearly(invoice):
        return
    amount = Money(due, as_text(invoice.get("currency"), 8))
    context: _Context = {"amount": amount, "plan": row.plan.name if row.plan else "", "day": at}
    if getattr(row, "pending_change", None):  # the provider knows the price of today only
        context |= {"amount": "", "planned": _planned_plan(row)}
    _send("renewal_upcoming", row.customer, context, key=f"renewal_upcoming:{subscription_id}:{at:%Y-%m-%d}")


def _renewing(subscription_id: str) -> Subscription | None:
    rows = Subscription.objects.renewing().filter(external_id=subscription_id)
    return rows.select_related("customer", "plan", "pending_change__price__plan").first()


def _planned_plan(row: Subscription) -> str:
    """The other plan that the subscription moves to when it renews; empty where only the interval or the seats change."""
    plan = row.pending_change.price.plan
    return plan.name if plan and plan != row.plan else ""


def _is_yearly(invoice: JSONObject) -> bool:
    for line in stripe_objects.items(invoice.get("lines")):
        period = as_object(line.get("period"))
        start, end = as_time(period.get("start")), as_time(period.get("end"))
        if start and end and end - start >= _YEARLY:
            return True
    return False


def send_trial_ending(subscription_id: str, *, needs_method: bool = False) -> None:
    """An extended trial is announced again. ``needs_method``: it ends without a subscription where there is no payment method."""
    row = _renewing(subscription_id)
    if row and row.status == Subscription.Status.TRIALING and row.trial_end:
        context: _Context = {"plan": row.plan.name if row.plan else "", "day": row.trial_end}
        if needs_method and not (row.default_payment_method or row.customer.default_payment_method):
            context["needs_method"] = "yes"
        _send("trial_ending", row.customer, context, key=f"trial_ending:{subscription_id}:{row.trial_end:%Y-%m-%d}")


def send_price_change(row: Subscription, pays: Money, will_pay: Money, at: datetime) -> None:
    """Notice of another price."""
    context: _Context = {"plan": row.plan.name if row.plan else "", "amount": pays, "new_amount": will_pay, "day": at}
    _send("price_change", row.customer, context, key=f"price_change:{row.external_id}:{at:%Y-%m-%d}")


def send_canceled(row: Subscription) -> None:
    """It is over. One that was never paid has nothing to say."""
    if row.status == Subscription.Status.CANCELED:
        context: _Context = {"plan": row.plan.name if row.plan else ""}
        _send("subscription_canceled", row.customer, context, key=f"subscription_canceled:{row.external_id}")


def send_expiring_cards(today: date) -> int:
    """Of customers who will be charged, whose card ends with this month. Returns how many were found."""
    paying = Q(customer__subscriptions__in=Subscription.objects.renewing())
    cards = PaymentMethod.objects.usable().filter(paying, exp_year=today.year, exp_month=today.month)
    found = [card for card in cards.with_paying_method().distinct() if card.is_default]
    for card in found:
        context: _Context = {"card": str(card), "month": f"{card.exp_month:02}/{card.exp_year}"}
        _send("card_expiring", card.customer, context, key=f"card_expiring:{card.external_id}:{today:%Y-%m}")
    return len(found)


def _invoice(invoice_id: str, status: str) -> Invoice | None:
    return Invoice.objects.select_related("customer").filter(external_id=invoice_id, status=status).first()


def _send_of_invoice(template: str, row: Invoice, amount: Money, **more: str | Money | datetime) -> None:
    context: _Context = {"amount": amount, "number": row.number, "link": row.hosted_url, **more}
    _send(template, row.customer, context, key=f"{template}:{row.external_id}")


def _send(template: str, customer: Customer | None, context: _Context, *, key: str) -> None:
    """Amounts and days are written in the payer's language, days by their clock."""
    payer = _payer(customer)
    if customer and payer and template in settings.BILLING_MAILS:
        written = {name: _written(value, payer) for name, value in context.items()}
        values = {"name": payer.full_name, **_team_values(customer), **written}
        queue_mail(template, to=payer.email, locale=payer.locale, context=values, dedupe_key=key[:200])


def _written(value: str | Money | datetime, payer: User) -> str:
    if isinstance(value, Money):
        return value.text(payer.locale)
    return payer.written_day(value) if isinstance(value, datetime) else value


def _team_values(customer: Customer) -> dict[str, str]:
    """The team's name and, unless the team is deleted, the path of its billing. Empty for a person."""
    if (team := customer.team) is None:
        return {}
    return {"team": team.name, **({} if team.deleted_at else {"billing_path": billing_path(team)})}


def _payer(customer: Customer | None) -> User | None:
    """The user to write to; for a team, its owner, and where that one is banned another owner."""
    if customer is None:
        return None
    person = customer.team.owner if customer.team else customer.user
    if person and person.is_active:
        return person
    other = customer.team.memberships.owners().select_related("user").first() if customer.team else None
    return other.user if other else None
