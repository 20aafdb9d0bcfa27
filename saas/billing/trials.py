"""Extending a trial: the provider is called, and its events change the row.

For Admin ops, with ``by`` the member of staff:

    extend_trial(subscription, trial_end=…, reason="…", by=sam)  -> Subscription
"""

from datetime import datetime, timedelta

from django.db import transaction

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing import clock, providers
from saas.billing.customers import apply_pending_events
from saas.billing.models import Subscription
from saas.errors import DomainError, Invalid

LONGEST_TRIAL = timedelta(days=730)  # from now; Stripe refuses more


class NotOnTrial(DomainError):
    code, title = "not_on_trial", "The subscription is not on trial."  # 409


def extend_trial(subscription: Subscription, *, trial_end: datetime, reason: str, by: User) -> Subscription:
    """Extend the trial to ``trial_end``. May be repeated. Raises ``NotOnTrial``, ``Invalid``, and what the provider refuses."""
    if subscription.status != Subscription.Status.TRIALING:
        raise NotOnTrial
    now = clock.now()
    if not max(now, subscription.trial_end or now) < trial_end <= now + LONGEST_TRIAL:
        raise Invalid(errors={"trial_end": ["Choose a time after the trial's present end, within two years."]})
    if not reason.strip():
        raise Invalid(errors={"reason": ["Say why."]})
    providers.current_gateway().extend_trial(subscription.external_id, trial_end=trial_end)
    apply_pending_events(subscription.customer)
    return _record_extension(subscription, trial_end, reason, by)


@transaction.atomic
def _record_extension(row: Subscription, trial_end: datetime, reason: str, by: User) -> Subscription:
    before = row.trial_end.isoformat() if row.trial_end else None
    record(
        "subscription.trial_extended",
        actor=by.pk,
        target=row.pk,
        reason=reason.strip()[:500],
        before=before,
        trial_end=trial_end.isoformat(),
    )
    row.refresh_from_db()
    return row
