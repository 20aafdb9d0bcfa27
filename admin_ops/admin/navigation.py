"""The sidebar, with only the pages that the permissions allow, and the badge of the environment."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from admin_ops.admin.permissions import request_permissions
from admin_ops.admin.site import admin_site
from saas.accounts.staff.staff_roles import StaffPermission

MONEY, TEAMS = "Money", "Teams"
_SECTIONS: list[tuple[str, list[tuple[str, str, str, StaffPermission | None]]]] = [
    ("", [("Dashboard", "space_dashboard", "admin:index", None)]),
    (
        "People",
        [
            ("Customers and staff", "group", "admin:accounts_user_changelist", StaffPermission.READ_USERS),
            (TEAMS, "groups", "admin:teams_team_changelist", StaffPermission.READ_USERS),
            ("Sessions", "devices", "admin:accounts_loginsession_changelist", StaffPermission.READ_USERS),
            ("Impersonations", "visibility", "admin:accounts_impersonation_changelist", StaffPermission.READ_USERS),
            ("Mails", "mail", "admin:mail_mail_changelist", StaffPermission.READ_USERS),
        ],
    ),
    (
        MONEY,
        [
            ("Alarms", "warning", "admin:alarms", StaffPermission.READ_BILLING),
            ("Subscriptions", "autorenew", "admin:billing_subscription_changelist", StaffPermission.READ_BILLING),
            ("Invoices", "receipt_long", "admin:billing_invoice_changelist", StaffPermission.READ_BILLING),
            ("Checkouts", "shopping_cart", "admin:billing_checkout_changelist", StaffPermission.READ_BILLING),
            ("Revenue movements", "trending_up", "admin:billing_ledgerentry_changelist", StaffPermission.READ_BILLING),
            ("Given access", "redeem", "admin:billing_entitlementoverride_changelist", StaffPermission.READ_BILLING),
            ("Plans", "sell", "admin:billing_plan_changelist", StaffPermission.READ_BILLING),
            ("Prices", "payments", "admin:billing_price_changelist", StaffPermission.READ_BILLING),
            ("Promotion codes", "percent", "admin:billing_promotioncode_changelist", StaffPermission.READ_BILLING),
            ("Moves of prices", "event_upcoming", "admin:billing_pricemove_changelist", StaffPermission.READ_BILLING),
        ],
    ),
    (
        "System",
        [
            (
                "Webhook events",
                "webhook",
                "admin:webhook_events_webhookevent_changelist",
                StaffPermission.READ_WEBHOOKS,
            ),
            ("Replays", "replay", "admin:webhook_events_replaybatch_changelist", StaffPermission.READ_WEBHOOKS),
            ("Audit trail", "history_edu", "admin:audit_auditevent_changelist", StaffPermission.READ_AUDIT),
        ],
    ),
]


def menu_name(table: str) -> str:
    """What the menu calls a table, such as ``accounts_user``; empty if it is not there."""
    names = {page: name for _, pages in _SECTIONS for name, _, page, _ in pages}
    return names.get(f"admin:{table}_changelist", "")


def _tables_of_added_modules() -> list[tuple[str, str, str, StaffPermission | None]]:
    return [
        (
            str(model._meta.verbose_name_plural).capitalize(),
            "category",
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
            getattr(admin_site.get_model_admin(model), "needs", None),
        )
        for module in settings.MODULES
        for model in apps.get_app_config(module).get_models()
        if admin_site.is_registered(model)
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
                if (needs is None or needs in held) and (name != TEAMS or settings.TEAMS)
            ],
        }
        for title, pages in [*_SECTIONS, ("Modules", _tables_of_added_modules())]
        if title != MONEY or settings.BILLING
    ]
    return [section for section in found if section["items"]]


def environment(request: HttpRequest) -> list[str]:
    """The badge in the corner, red in production."""
    return [settings.SAAS_ENV, "danger" if settings.PRODUCTION else "info"]
