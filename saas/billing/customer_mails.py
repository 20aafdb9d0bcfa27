"""Mails to customers about payments. One for each fact, however many events report it."""

from saas.accounts.models import User
from saas.billing.models import Customer, Invoice, Subscription
from saas.mail.actions import queue_mail


def send_payment_failed(invoice_id: str) -> None:
    """``invoice_id`` is the provider's. Sends nothing for an invoice that has been paid since, or has no customer of ours."""
    row = Invoice.objects.select_related("customer").filter(external_id=invoice_id, status=Invoice.Status.OPEN).first()
    payer = _payer(row.customer) if row else None
    if row and payer:
        context = {"name": payer.full_name, "amount": str(row.amount_due), "number": row.number}
        queue_mail("payment_failed", to=payer.email, context=context, dedupe_key=f"payment_failed:{invoice_id}")


def send_trial_ending(subscription_id: str) -> None:
    """``subscription_id`` is the provider's. An extended trial is announced again."""
    trials = Subscription.objects.renewing().filter(status=Subscription.Status.TRIALING)
    row = trials.select_related("customer", "plan").filter(external_id=subscription_id).first()
    payer = _payer(row.customer) if row else None
    if row and payer and row.trial_end:
        context = {
            "name": payer.full_name,
            "plan": row.plan.name if row.plan else "",
            "day": f"{row.trial_end:%d %B %Y}".lstrip("0"),
        }
        key = f"trial_ending:{subscription_id}:{row.trial_end:%Y-%m-%d}"
        queue_mail("trial_ending", to=payer.email, context=context, dedupe_key=key)


def _payer(customer: Customer | None) -> User | None:
    """The user to write to; for a team, its owner."""
    person = (customer.team.owner if customer.team else customer.user) if customer else None
    return person if person and person.is_active else None
