"""The Admin ops API, port 8001: read it as the API reference."""

from django.conf import settings
from django.urls import path
from django.views.generic import RedirectView

from admin_ops.actions import enabled_actions
from admin_ops.admin import admin_site
from admin_ops.modules import MODULES
from admin_ops.views import audit, auth, billing, impersonations, metrics, users
from admin_ops.views.actions import action_urls
from saas.api.pages.start import Link, start_page
from saas.api.service_urls import common_urls, handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

# Only where something is sold.
_BILLING = [
    path("api/admin/subscriptions", billing.SubscriptionsView.as_view(), name="subscriptions"),
    path(
        "api/admin/prices/<str:price_id>/move/preview",
        billing.PriceMovePreviewView.as_view(),
        name="price-move-preview",
    ),
    path("api/admin/metrics/revenue", metrics.RevenueMetricsView.as_view(), name="metrics-revenue"),
    path("api/admin/metrics/revenue/export", metrics.RevenueExportView.as_view(), name="metrics-revenue-export"),
]

_START = start_page(
    "Admin ops",
    "For support and operations.",
    Link("Admin", "/admin/", "Customers, money, events and the audit trail."),
)

urlpatterns = [
    path("", _START, name="start"),
    *common_urls("Admin ops API", "Support and operations.", MODULES),
    # Authentication
    path("api/admin/auth/login", auth.StaffLoginView.as_view(), name="login"),
    path("api/admin/auth/mfa/verify", auth.StaffSecondFactorView.as_view(), name="mfa-verify"),
    path("api/admin/auth/mfa/totp", auth.StaffTotpView.as_view(), name="mfa-totp"),
    path("api/admin/auth/mfa/totp/confirm", auth.StaffConfirmView.as_view(), name="mfa-confirm"),
    path("api/admin/auth/refresh", auth.StaffRefreshView.as_view(), name="refresh"),
    path("api/admin/auth/logout", auth.StaffLogoutView.as_view(), name="logout"),
    path("api/admin/auth/csrf", auth.StaffCsrfView.as_view(), name="csrf"),
    path("api/admin/auth/me", auth.StaffMeView.as_view(), name="me"),
    # People
    path("api/admin/users", users.UsersView.as_view(), name="users"),
    path("api/admin/users/<str:user_id>", users.UserView.as_view(), name="user"),
    path("api/admin/impersonations", impersonations.ImpersonationsView.as_view(), name="impersonations"),
    *(_BILLING if settings.BILLING else []),
    *action_urls(enabled_actions()),
    # Metrics
    path("api/admin/metrics/users", metrics.UserMetricsView.as_view(), name="metrics-users"),
    path("api/admin/metrics/webhooks", metrics.WebhookMetricsView.as_view(), name="metrics-webhooks"),
    # Audit trail
    path("api/admin/audit", audit.AuditView.as_view(), name="audit"),
    path("api/admin/audit/export", audit.AuditExportView.as_view(), name="audit-export"),
    path("api/admin/audit/verify", audit.AuditVerifyView.as_view(), name="audit-verify"),
    path("api/admin/health", metrics.StaffHealthView.as_view(), name="staff-health"),
    # Django admin
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin_site.urls),
]
