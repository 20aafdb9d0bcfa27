"""The one page about a person: everything that staff need to answer her, newest first."""

from typing import Any

from django.conf import settings
from django.db.models import F

from admin_ops import representations as show
from saas.accounts.models import Deletion, LoginSession, Profile, User
from saas.api.accounts.serializers import ProfileShape
from saas.api.representation import represent
from saas.audit.models import AuditEvent
from saas.billing.models import Customer, EntitlementOverride, Invoice, Subscription
from saas.mail.models import Mail
from saas.teams.models import Membership
from saas.webhook_events.models import WebhookEvent

MAX_PER_SECTION = 20  # of each kind; the lists of their own have the rest


def customer_page(user: User) -> dict[str, Any]:
    """The page's sections, one query each."""
    leaving = None if user.is_active else Deletion.objects.pending().filter(user=user).first()
    due_at = leaving.due_at if leaving else None
    return {"user": show.user(user), "deletion_due_at": due_at, **_account(user), **_billing(user), **_history(user)}


def _account(user: User) -> dict[str, Any]:
    profile = Profile.objects.filter(user=user).first()
    sessions = LoginSession.objects.live().filter(user=user).order_by("-last_seen_at")[:MAX_PER_SECTION]
    return {
        "profile": represent(ProfileShape, profile) if profile else None,
        "identities": [
            show.identity(row) for row in user.oauth_identities.order_by("-last_login_at")[:MAX_PER_SECTION]
        ],
        "sessions": [show.session(row) for row in sessions],
        "teams": [show.team(row) for row in Membership.objects.of(user).order_by("-pk")[:MAX_PER_SECTION]],
    }


def _billing(user: User) -> dict[str, Any]:
    """Events are found by the provider's ids of this customer. Where nothing is sold, nothing is told of money."""
    if not settings.BILLING:
        return {"subscriptions": [], "overrides": [], "invoices": [], "events": []}
    subscriptions = (
        Subscription.objects.for_owner(user).with_customer().order_by(F("ended_at").desc(nulls_first=True), "-pk")
    )
    known_as = Customer.objects.for_owner(user).exclude(external_id="").values("external_id")
    events = WebhookEvent.objects.filter(customer_id__in=known_as).order_by("-pk")
    return {
        "subscriptions": [show.subscription(row) for row in subscriptions[:MAX_PER_SECTION]],
        "overrides": [show.override(row) for row in EntitlementOverride.objects.for_owner(user)[:MAX_PER_SECTION]],
        "invoices": [show.invoice(row) for row in Invoice.objects.for_owner(user).order_by("-pk")[:MAX_PER_SECTION]],
        "events": [show.webhook_event(row) for row in events[:MAX_PER_SECTION]],
    }


def _history(user: User) -> dict[str, Any]:
    notes = user.notes.select_related("author").order_by("-pk")[:MAX_PER_SECTION]
    return {
        "mails": [
            show.mail(row) for row in Mail.objects.filter(recipient=user.email).order_by("-pk")[:MAX_PER_SECTION]
        ],
        "notes": [show.note(row) for row in notes],
        "audit": [show.audit_event(row) for row in AuditEvent.objects.involving(user.id)[:MAX_PER_SECTION]],
    }
