"""Cards and accounts to pay with, and the provider's own page for them."""

from django.conf import settings

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing import providers
from saas.billing.customers import apply_pending_events, ensure_provider_customer, get_or_create_customer
from saas.billing.models import Owner, PaymentMethod
from saas.billing.providers import ProviderUnavailable


def add_payment_method(
    user: User,
    *,
    type: str,
    provider: str,
    last4: str,
    exp_month: int | None = None,
    exp_year: int | None = None,
    owner: Owner | None = None,
) -> PaymentMethod:
    """Add what ``owner`` (the user herself, or a team for which she may pay) pays with from now on. ``provider`` is the
    brand, such as ``visa``.

    Raises ``UseTheProvidersPage`` where only the provider may see a card, ``PaymentDeclined``.
    """
    gateway = providers.current_gateway()
    customer = ensure_provider_customer(get_or_create_customer(owner or user, gateway), user, gateway)
    external_id = gateway.attach_payment_method(
        customer_id=customer.external_id, type=type, brand=provider, last4=last4, exp_month=exp_month, exp_year=exp_year
    )
    apply_pending_events(customer)
    record("payment_method.added", actor=user.pk, target=customer.pk)
    row = PaymentMethod.objects.for_owner(owner or user).filter(external_id=external_id).first()
    if row is None:  # it is in the inbox, and another worker has its customer's lane
        raise ProviderUnavailable(retry_after_seconds=1)
    return row


def remove_payment_method(row: PaymentMethod, *, by: User) -> None:
    """Forget it, at the provider too."""
    providers.current_gateway().detach_payment_method(row.external_id)
    if row.customer:
        apply_pending_events(row.customer)
    record("payment_method.removed", actor=by.pk, target=row.pk)


def portal_url(user: User, *, owner: Owner | None = None) -> str:
    """A page of the provider about ``owner``, for one visit: cards, invoices, cancellation."""
    gateway = providers.current_gateway()
    customer = ensure_provider_customer(get_or_create_customer(owner or user, gateway), user, gateway)
    return gateway.portal_url(customer_id=customer.external_id, return_url=f"{settings.FRONTEND_BASE_URL}/billing")
