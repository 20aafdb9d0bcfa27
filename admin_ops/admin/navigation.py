"""The sidebar, with only the pages that the permissions allow, and the badge of the environment."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from admin_ops.admin.permissions import request_permissions
from saas.accounts.staff.staff_roles import Permission

MONEY = "Money"
_SECTIONS: list[tuple[str, list[tuple[str, str, str, Permission | None]]]] = [
    ("", [("Dashboard", "space_dashboard", "admin:index", None)]),
    (
        "People",
        [
            ("Customers and staff", "group", "admin:accounts_user_changelist", Permission.READ_USERS),
            ("Teams", "groups", "admin:teams_team_changelist", Permission.READ_USERS),
            ("Sessions", "devices", "admin:accounts_loginsession_changelist", Permission.READ_USERS),
            ("Impersonations", "visibility", "admin:accounts_impersonation_changelist", Permission.READ_USERS),
            ("Mails", "mail", "admin:mail_mail_changelist", Permission.READ_USERS),
        ],
    ),
    (
        MONEY,
        [
            ("Subscriptions", "autorenew", "admin:billing_subscription_changelist", Permission.READ_BILLING),
            ("Invoices", "receipt_long", "admin:billing_invoice_changelist", Permission.READ_BILLING),
            ("Checkouts", "shopping_cart", "admin:billing_checkout_changelist", Permission.READ_BILLING),
            ("Revenue movements", "trending_up", "admin:billing_ledgerentry_changelist", Permission.READ_BILLING),
            ("Given access", "redeem", "admin:billing_entitlementoverride_changelist", Permission.READ_BILLING),
            ("Plans", "sell", "admin:billing_plan_changelist", Permission.READ_BILLING),
        ],
    ),
    (
        "System",
        [
            (
                "Webhook events",
                "webhook",
                "admin:webhook_events_webhookevent_changelist",
                Permission.READ_WEBHOOKS,
            ),
            ("Replays", "replay", "admin:webhook_events_replaybatch_changelist", Permission.READ_WEBHOOKS),
            ("Audit trail", "history_edu", "admin:audit_auditevent_changelist", Permission.READ_AUDIT),
        ],
    ),
]


def sidebar_sections(request: HttpRequest) -> list[dict[str, Any]]:
    held = request_permissions(request)
    found = [
        {
            "title": title,
            "separator": bool(title),
            "items": [
                {"title": name, "icon": icon, "link": reverse(page)}
                for name, icon, page, needs in pages
                if needs is None or needs in held
            ],
        }
        for title, pages in _SECTIONS
        if title != MONEY or settings.BILLING
    ]
    return [section for section in found if section["items"]]


def environment(request: HttpRequest) -> list[str]:
    """The badge in the corner, red in production."""
    return [settings.SAAS_ENV, "danger" if settings.PRODUCTION else "info"]
