"""Payment methods, and the provider's portal for them."""

from django.conf import settings

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing import providers
from saas.billing.customers import apply_pending_events, get_or_create_customer, with_provider_customer
from saas.billing.models import Owner, PaymentMethod
from saas.billing.models.customers import billing_path
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
    """Add a payment method to ``owner`` (the user, or a team for which they may pay) and make it the default. ``provider`` is
    the brand, such as ``visa``.

    Raises ``ProviderPageRequired`` where only the provider may see a card, ``PaymentDeclined``.
    """
    gateway = providers.current_gateway()
    customer, external_id = with_provider_customer(
        get_or_create_customer(owner or user, gateway),
        user,
        gateway,
        lambda it: gateway.attach_payment_method(
            customer_id=it.external_id, type=type, brand=provider, last4=last4, exp_month=exp_month, exp_year=exp_year
        ),
    )
    apply_pending_events(customer)
    record("payment_method.added", actor=user.pk, target=customer.pk)
    row = PaymentMethod.objects.for_owner(owner or user).filter(external_id=external_id).first()
    if row is None:  # its event is stored, and another worker has the customer's lock
        raise ProviderUnavailable(retry_after_seconds=1)
    return row


def remove_payment_method(row: PaymentMethod, *, by: User) -> None:
    """Detach it, at the provider too."""
    providers.current_gateway().detach_payment_method(row.external_id)
    if row.customer:
        apply_pending_events(row.customer)
    record("payment_method.removed", actor=by.pk, target=row.pk)


def portal_url(user: User, *, owner: Owner | None = None) -> str:
    """A page of the provider for ``owner``, for one visit: cards, invoices, cancellation.

    It leads back to the owner's billing page.
    """
    gateway = providers.current_gateway()
    return_url = f"{settings.FRONTEND_BASE_URL}{billing_path(owner or user)}?from=portal"
    _, url = with_provider_customer(
        get_or_create_customer(owner or user, gateway),
        user,
        gateway,
        lambda it: gateway.portal_url(customer_id=it.external_id, return_url=return_url),
    )
    return url
