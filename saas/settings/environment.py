"""The environment (development, test, production), the kind of process and what it does not import, the folder of
generated files, and the switches for what is not wanted. Imported first."""

import os
import sys
from pathlib import Path

from saas import env

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env.load_file(BASE_DIR / ".env")

SAAS_ENV = env.choice(
    "SAAS_ENV",
    choices=["development", "test", "production"],
    default="development",
    help="`production` refuses development secrets and engines.",
)
PRODUCTION = SAAS_ENV == "production"
DEBUG = env.boolean("DEBUG", default=False, help="Django's debug pages. Off by default, in development too.")
_VAR_DIR = env.text(
    "SAAS_VAR_DIR",
    default=str(BASE_DIR / "var"),
    help="Folder of the embedded database, broker and development secrets; a relative path is below the project.",
)
# Relative to the project: one folder for all processes, whichever folder each of them was started in.
VAR_DIR = BASE_DIR / os.path.expanduser(_VAR_DIR)
if not PRODUCTION:
    VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # private before anything is created in it
DEVELOPMENT_SECRETS = None if PRODUCTION else VAR_DIR / "secrets"


# The kind of this process, as set by its entry point, or from ``manage.py``'s first argument.
_KINDS = {"runserver": "service", "webhook_worker": "worker"}
PROCESS = os.environ.get("SAAS_PROCESS", _KINDS.get("".join(sys.argv[1:2]), "command"))

# Commands that generate secrets, check settings or show help run without secrets.
_first, _second = [*sys.argv[1:3], "", ""][:2]
_is_help = {_first, _second} & {"-h", "--help", "--version"} or _first in {"", "help", "version"}
_IS_MANAGE = PROCESS == "command" and Path(sys.argv[0]).name in {"manage.py", "django-admin", "__main__.py"}
MAY_LACK_SECRETS = _IS_MANAGE and (bool(_is_help) or _first in {"generate_secrets", "check"})

# ── Optional imports: libraries that others import if installed, and that this process does not use ──
# Blocking them saves 300 modules and 15 MB in each of the six processes, and start-up time. Commands, which print tables
# with ``rich``, block nothing.
_FOR_COMMANDS_ONLY = ("rich", "jinja2")
_FOR_SETTINGS = {"opentelemetry": ("OTEL_ENDPOINT",), "requests": ("OTEL_ENDPOINT", "STRIPE_SECRET_KEY")}

if PROCESS != "command":
    _unused = [name for name, settings in _FOR_SETTINGS.items() if not any(map(env.is_set, settings))]
    for _library in (*_FOR_COMMANDS_ONLY, *_unused):
        sys.modules.setdefault(_library, None)  # type: ignore[arg-type]  # then ``import`` raises ModuleNotFoundError

# Switches for what a founder may not want. What is off answers 404, is in no menu and in no schema.
REGISTRATION = env.choice(
    "REGISTRATION",
    choices=["open", "invite", "closed"],
    default="open",
    help="Who may make an account: everyone (`open`), the invited alone (`invite`), or no one (`closed`).",
)
TEAMS = env.boolean("TEAMS", default=True, help="`off` takes teams, invitations and API keys away.")
API_KEYS = env.boolean("API_KEYS", default=True, help="`off` takes the API keys of teams away.") and TEAMS
OAUTH = env.boolean("OAUTH", default=True, help="`off` takes sign-in providers away.")
PARITY = env.boolean(
    "PARITY", default=True, help="`off` where the Parity service is not run; it needs no address then."
)
if REGISTRATION == "invite" and not TEAMS:
    env.note_fault("REGISTRATION=invite needs TEAMS: teams invite.")
