"""The environment (development, test, production), the kind of process, and the folder of generated files."""

import os
import sys
from pathlib import Path

from dotenv import load_dotenv

from saas import env

BASE_DIR = Path(__file__).resolve().parent.parent.parent
if os.environ.get("SAAS_ENV") != "test":
    load_dotenv(BASE_DIR / ".env")

SAAS_ENV = env.choice(
    "SAAS_ENV",
    choices=["development", "test", "production"],
    default="development",
    help="`production` refuses development secrets and engines.",
)
PRODUCTION = SAAS_ENV == "production"
DEBUG = env.boolean("DEBUG", default=False, help="Django's debug pages. Off by default, in development too.")
VAR_DIR = Path(
    env.text(
        "SAAS_VAR_DIR",
        default=str(BASE_DIR / "var"),
        help="Database, broker and development secrets of the embedded default.",
    )
)
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
