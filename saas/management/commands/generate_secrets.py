import os
import secrets
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from saas.accounts.sessions.signing_keys import generate_pem

RANDOM = ("SECRET_KEY", "SAAS_AUTH_PEPPER", "SAAS_SESSION_SECRET", "SAAS_MFA_KEY", "SAAS_AUDIT_KEY", "INTERNALS_TOKEN")
KEYS = ("JWT_SIGNING_KEY", "JWT_STAFF_SIGNING_KEY")
SECRET_BYTES = 48


class Command(BaseCommand):
    help = "Generate every secret that production needs, but those of other providers, as lines of an environment file."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, help="A new file, readable by its owner only; else standard output.")

    def handle(self, *, output: Path | None, **options: Any) -> None:
        keys = {name: generate_pem().strip().replace("\n", "\\n") for name in KEYS}
        lines = [f"{name}={secrets.token_urlsafe(SECRET_BYTES)}" for name in RANDOM]
        text = "".join(f"{line}\n" for line in [*lines, *(f'{name}="{pem}"' for name, pem in keys.items())])
        if output is None:
            self.stdout.write(text, ending="")
            return
        _write_new(output, text)
        self.stdout.write(
            f"Wrote {len(RANDOM) + len(KEYS)} secrets to {output}. Keep a copy of SAAS_AUTH_PEPPER, SAAS_MFA_KEY"
        )
        self.stdout.write(
            "and SAAS_AUDIT_KEY apart from the database: without them no password and no second factor works,"
        )
        self.stdout.write("and nothing shows that the audit trail is genuine.")


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise CommandError(
            f"{path} is there already. Nothing was written: other processes may use its secrets."
        ) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
