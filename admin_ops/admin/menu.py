"""What stands in the menu at the side, and what each table is called there."""

from saas.accounts.staff.staff_roles import StaffPermission

MONEY, TEAMS = "Money", "Teams"
SECTIONS: list[tuple[str, list[tuple[str, str, str, StaffPermission | None]]]] = [
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
    names = {page: name for _, pages in SECTIONS for name, _, page, _ in pages}
    return names.get(f"admin:{table}_changelist", "")
