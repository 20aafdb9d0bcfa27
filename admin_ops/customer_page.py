"""``GET /api/admin/users/{id}``: everything that staff need to know about one user, each list newest first.

The page in Django admin is ``admin_ops.admin.tables.users``, its timeline ``admin_ops.timeline``.
"""

from typing import Any

from django.conf import settings
from django.db.models import F

from admin_ops.serializers.access import represent_override
from admin_ops.serializers.audit import AuditEventShape
from admin_ops.serializers.billing import InvoiceShape, represent_subscription
from admin_ops.serializers.users import (
    IdentityShape,
    MailShape,
    StaffSessionShape,
    StaffUserShape,
    TeamMembershipShape,
    UserNoteShape,
    WebhookEventShape,
)
from saas.accounts.models import Deletion, LoginSession, Profile, User
from saas.api.accounts.serializers import ProfileShape
from saas.api.representation import represent, represent_all
from saas.audit.models import AuditEvent
from saas.billing.models import Customer, EntitlementOverride, Invoice, Subscription
from saas.mail.models import Mail
from saas.teams.models import Membership
from saas.webhook_events.models import WebhookEvent

MAX_PER_SECTION = 20  # longer lists have endpoints of their own


def customer_page(user: User) -> dict[str, Any]:
    """The fields of ``PersonShape``, one query for each."""
    deletion = None if user.is_active else Deletion.objects.pending().filter(user=user).first()
    profile = Profile.objects.filter(user=user).select_related("user").first()
    sessions = LoginSession.objects.usable().filter(user=user).order_by("-last_seen_at")[:MAX_PER_SECTION]
    identities = user.oauth_identities.order_by("-last_login_at")[:MAX_PER_SECTION]
    memberships = Membership.objects.for_user(user).order_by("-pk")[:MAX_PER_SECTION]
    mails = Mail.objects.filter(recipient=user.email).order_by("-pk")[:MAX_PER_SECTION]
    notes = user.notes.select_related("author").order_by("-pk")[:MAX_PER_SECTION]
    return {
        "user": represent(StaffUserShape, user),
        "deletion_due_at": deletion.due_at if deletion else None,
        "profile": represent(ProfileShape, profile) if profile else None,
        "identities": represent_all(IdentityShape, identities),
        "sessions": [represent(StaffSessionShape, row, methods=row.methods.split()) for row in sessions],
        "teams": represent_all(TeamMembershipShape, memberships),
        **_billing(user),
        "mails": represent_all(MailShape, mails),
        "notes": represent_all(UserNoteShape, notes),
        "audit": represent_all(AuditEventShape, AuditEvent.objects.involving(user.id)[:MAX_PER_SECTION]),
    }


def _billing(user: User) -> dict[str, Any]:
    """Webhook events are found by the provider's customer ids. All lists are empty where nothing is sold."""
    if not settings.BILLING:
        return {"subscriptions": [], "overrides": [], "invoices": [], "events": []}
    subscriptions = (
        Subscription.objects.for_owner(user).with_customer().order_by(F("ended_at").desc(nulls_first=True), "-pk")
    )
    overrides = EntitlementOverride.objects.for_owner(user)[:MAX_PER_SECTION]
    provider_ids = Customer.objects.for_owner(user).exclude(external_id="").values("external_id")
    events = WebhookEvent.objects.filter(customer_id__in=provider_ids).order_by("-pk")
    return {
        "subscriptions": [represent_subscription(row) for row in subscriptions[:MAX_PER_SECTION]],
        "overrides": [represent_override(row) for row in overrides],
        "invoices": represent_all(InvoiceShape, Invoice.objects.for_owner(user).order_by("-pk")[:MAX_PER_SECTION]),
        "events": represent_all(WebhookEventShape, events[:MAX_PER_SECTION]),
    }
