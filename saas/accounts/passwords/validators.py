"""Which passwords are accepted. ``AUTH_PASSWORD_VALIDATORS`` lists these validators and that of ``common_passwords``."""

from contextlib import suppress
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import User
from saas.errors import DomainError, Invalid

MIN_LENGTH = 12
MAX_LENGTH = 200
DEFAULT_PASSWORDS = ("AdminPass123!",)  # what starter projects and their documentation give to the first admin


class LengthValidator:
    """Count characters as typed, including spaces and emoji."""

    def validate(self, password: str, user: User | None = None) -> None:
        if len(password) < MIN_LENGTH:
            raise ValidationError(f"Use at least {MIN_LENGTH} characters.", code="password_too_short")
        if len(password) > MAX_LENGTH:
            raise ValidationError(f"Use at most {MAX_LENGTH} characters.", code="password_too_long")

    def get_help_text(self) -> str:
        return f"Between {MIN_LENGTH} and {MAX_LENGTH} characters."


class ContextValidator:
    """Refuse a password that is the account's address or name, the product's name or host, or a well-known default."""

    words: ClassVar[set[str]] = {
        *(password.lower() for password in DEFAULT_PASSWORDS),
        "saas",
        "saas starter",
        "saas-starter",
        "product",
        "parity",
        "webhooks",
    }

    def validate(self, password: str, user: User | None = None) -> None:
        own = {settings.BRAND_NAME.lower(), *_host_names()}
        if user is not None:
            own |= {user.full_name.lower(), user.email.lower(), *user.email.lower().split("@")}
            with suppress(DomainError):
                own.add(canonical_email(user.email))
        if password.strip().lower() in self.words | (own - {""}):
            raise ValidationError("Use something that is not your name or address.", code="password_too_obvious")

    def get_help_text(self) -> str:
        return "Not your name, your address or the product's name."


def _host_names() -> set[str]:
    addresses = (settings.FRONTEND_BASE_URL, *settings.SERVICE_BASE_URLS.values())
    return {urlsplit(address).hostname or "" for address in addresses}


def check_new_password(password: str, user: User, *, field: str = "password") -> None:
    """Raise ``Invalid`` with the sentences of every rule that ``password`` breaks, under the name of ``field``."""
    if len(password) > MAX_LENGTH:  # before any rule reads it
        raise Invalid(errors={field: [f"Use at most {MAX_LENGTH} characters."]})
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(errors={field: list(error.messages)}) from error
