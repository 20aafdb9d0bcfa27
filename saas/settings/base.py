"""Settings that all services share. A service's own module names its apps, URLs and cookies.

Every value from outside is read through ``saas.env``; the README's settings table lists exactly these (tested).
"""

import secrets

from saas import env
from saas.operations.processes import running_up
from saas.settings import environment, production  # noqa: F401  (first, before anything imports the blocked libraries)
from saas.settings.accounts import *
from saas.settings.base_urls import *
from saas.settings.environment import *
from saas.settings.infrastructure import *
from saas.settings.pages import *
from saas.settings.payments import *

if not PRODUCTION and (_up := running_up(VAR_DIR)):  # it knows where the services are, so no command need be told
    if SERVICE_BASE_URLS["product"] == FRONTEND_BASE_URL:
        FRONTEND_BASE_URL = _up.get("urls", SERVICE_BASE_URLS)["product"]
    SERVICE_BASE_URLS |= _up.get("urls", {})

# The modules that `manage.py add_module` wrote, one name a line. What each adds is collected from its folders: tables and
# actions from saas/<name>, routes from product/<name>/urls.py, tables of Django admin from admin_ops/<name>/tables.py.
MODULES: list[str] = [
]  # fmt: skip

# Every app with models, in every service: a service without one could not delete a user.
INSTALLED_APPS = [
    "saas",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "saas.operations",
    "saas.audit",
    "saas.mail",
    "saas.webhook_events",
    "saas.accounts",
    "saas.billing",
    "saas.teams",
    *(f"saas.{module}" for module in MODULES),
]

MIDDLEWARE = [
    "saas.api.middleware.TrustedProxyMiddleware",
    "saas.api.middleware.RequestContextMiddleware",
    "saas.api.metrics.MetricsMiddleware",
    "saas.api.middleware.SecurityHeadersMiddleware",
    "saas.api.pages.errors.PageErrorMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "saas.api.middleware.PreparedResponseMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "saas.api.middleware.HostMiddleware",
    "saas.api.middleware.InputGuardMiddleware",
    "saas.api.middleware.InternalsMiddleware",
    "saas.api.middleware.OriginCheckMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "saas.api.middleware.SessionUserMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
WSGI_APPLICATION = "saas.wsgi.application"
APPEND_SLASH = False
READINESS_IN_BACKGROUND = True
READINESS_CHECKS: dict[str, str] = {}  # of this service alone: functions by their dotted names
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a missing folder
WHITENOISE_USE_FINDERS = not PRODUCTION or not any(STATIC_ROOT.iterdir())  # collected when the image is built

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["saas.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "saas.api.openapi.schema_generation.ApiSchema",
    "EXCEPTION_HANDLER": "saas.api.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576  # bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
RATE_LIMIT_SCALE = env.integer(
    "RATE_LIMIT_SCALE",
    default=1 if PRODUCTION else 100,
    minimum=1,
    help="Multiplies every rate limit but the failed-login and second-factor counters. Default in production: `1`.",
)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = None  # SecurityHeadersMiddleware sets it: pages and JSON differ
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
# An API that redirects http has read the credentials already: the proxy in front answers http, and may redirect pages.
# Preloading is a decision about the whole domain. Framing and referrers are SecurityHeadersMiddleware's;
# secrets are judged in saas.settings.production.
SILENCED_SYSTEM_CHECKS = ["security.W002", "security.W008", "security.W009", "security.W021", "security.W022"]
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SPECTACULAR_SETTINGS = {
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": "{deepLinking: true, plugins: [accessible]}",  # the plugin of saas/static/saas/swagger.js
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # our PATCH bodies are serializers of their own
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATIONS": False,  # they stand as urls.py has them, and their tags in this order
    "TAGS": [
        {"name": "auth", "description": "Register, log in, stay in, go out; passwords, addresses and devices."},
        {"name": "mfa", "description": "The second factor: set up, prove, turn off."},
        {"name": "oauth", "description": "Sign-in through providers, and the accounts there that belong to one here."},
        {"name": "users", "description": "People: who they are and what they show of themselves."},
        {
            "name": "impersonation",
            "description": "Staff acting in a customer's name for minutes, each request in the trail.",
        },
        {"name": "subscriptions", "description": "Plans, checkouts and what becomes of a subscription."},
        {"name": "billing", "description": "Payment methods, invoices, and what the plan allows."},
        {"name": "access", "description": "What staff give beside what was bought, and time for a trial."},
        {"name": "teams", "description": "Teams, their members and roles."},
        {"name": "invitations", "description": "Inviting to a team by mail, and accepting."},
        {"name": "api keys", "description": "Keys by which a program acts for a team."},
        {"name": "webhooks", "description": "Intake of the provider's events."},
        {"name": "operators", "description": "The log of events, and running them once more."},
        {"name": "metrics", "description": "Figures about people, revenue and webhooks."},
        {"name": "audit", "description": "What happened, who did it, to whom."},
        {"name": "health", "description": "Is it alive, is it ready, do its modules work."},
    ],
    "POSTPROCESSING_HOOKS": ["saas.api.openapi.schema_generation.postprocess_schema"],
}

SETTINGS_FAULTS = env.collect_faults(production.find_settings_faults(globals()) if PRODUCTION else ())
if not MAY_LACK_SECRETS:
    env.raise_faults(SETTINGS_FAULTS)
elif not SECRET_KEY:  # libraries read it at import; a temporary one for this command
    SECRET_KEY = secrets.token_urlsafe(48)
