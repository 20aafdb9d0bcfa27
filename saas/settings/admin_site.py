"""The look of Django admin. ``UNFOLD`` is described in django-unfold's documentation; dotted names are called with the
request."""

from django.templatetags.static import static

FORMAT_MODULE_PATH = ["admin_ops.formats"]

UNFOLD = {
    "SITE_TITLE": "Admin ops",
    "SITE_HEADER": "Admin ops",
    "SITE_SUBHEADER": "Support and operations",
    "SITE_SYMBOL": "support_agent",
    "SITE_URL": None,
    "SHOW_HISTORY": False,  # Django's own, which is empty: nothing is edited here, and changes are in the audit trail
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "admin_ops.admin.navigation.environment",
    "DASHBOARD_CALLBACK": "admin_ops.admin.pages.dashboard.dashboard_context",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("admin_ops/favicon.svg")}
    ],
    "STYLES": [lambda request: static("admin_ops/admin.css")],
    "SCRIPTS": [
        lambda request: static("admin_ops/refresh.js"),
        lambda request: static("admin_ops/effect.js"),
        lambda request: static("admin_ops/scroll_regions.js"),
        lambda request: static("admin_ops/tabs.js"),
        lambda request: static("admin_ops/focus.js"),
    ],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "#eef4ff",
            "100": "#dbe6fe",
            "200": "#bfd3fe",
            "300": "#93b4fd",
            "400": "#608bfa",
            "500": "#3b66f5",
            "600": "#2347c5",
            "700": "#1d3aa3",
            "800": "#1e3484",
            "900": "#1e3069",
            "950": "#161f41",
        }
    },
    "ACCOUNT": {"navigation": [{"title": "API reference", "link": "/docs"}]},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": "admin_ops.admin.navigation.sidebar_sections",
    },
}
