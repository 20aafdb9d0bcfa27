"""Secrets of accounts that can be rotated: pepper, session secret, key of second factors, signing keys."""

from collections.abc import Iterator

from django.conf import settings

from saas.accounts import second_factor
from saas.accounts.models import Audience, Totp, User
from saas.accounts.passwords.hashers import PepperedPBKDF2, pepper_id
from saas.accounts.sessions import session_lifetimes, signing_keys
from saas.operations.rotation.rotating_secrets import RotatingSecret, register
from saas.security.encryption import DecryptionFailed, decrypt, encrypt


def count_passwords_of_earlier_peppers() -> int:
    """Passwords are moved at login, because only their owner knows them."""
    peppered = User.objects.filter(password__startswith=f"{PepperedPBKDF2.algorithm}$")
    return int(peppered.exclude(password__contains=f"${pepper_id(settings.AUTH_PEPPER)}$").count())


def count_second_factors_of_other_keys() -> int:
    return sum(1 for _ in _second_factors_of_other_keys())


def encrypt_second_factors_anew() -> int:
    """Encrypt under the current key what is encrypted under another; return how many were moved. It may be repeated.

    Setups that were left are deleted: to encrypt them anew would make them valid again.
    """
    second_factor.delete_left_setups()
    moved = 0
    for row in _second_factors_of_other_keys():
        secret = decrypt(row.sealed_secret, secrets=settings.MFA_KEY_FALLBACKS)
        unchanged = Totp.objects.filter(pk=row.pk, sealed_secret=row.sealed_secret)
        moved += unchanged.update(sealed_secret=encrypt(secret, secret=settings.MFA_KEY))
    return moved


def _second_factors_of_other_keys() -> Iterator[Totp]:
    for row in Totp.objects.order_by("pk").iterator():
        try:
            decrypt(row.sealed_secret, secrets=[settings.MFA_KEY])
        except DecryptionFailed:
            yield row


def _key_ids(audience: str) -> list[str]:
    """The keys of a setting; those of ``JWT_KEY_DIR`` take turns by themselves (``rotate_jwt_key``)."""
    return list(signing_keys.verification_keys(audience)) if settings.JWT_KEYS[audience] else []


register(
    [
        RotatingSecret(
            "SAAS_AUTH_PEPPER",
            lambda: [settings.AUTH_PEPPER, *settings.AUTH_PEPPER_FALLBACKS],
            count_unmoved=count_passwords_of_earlier_peppers,
            unmoved="people have not logged in since, and would need a new password",
        ),
        RotatingSecret(
            "SAAS_SESSION_SECRET",
            lambda: [settings.SESSION_SECRET, *settings.SESSION_SECRET_FALLBACKS],
            needed_for=session_lifetimes.lifetimes_for(Audience.CUSTOMER).cookie,
        ),
        RotatingSecret(
            "SAAS_MFA_KEY",
            lambda: [settings.MFA_KEY, *settings.MFA_KEY_FALLBACKS],
            count_unmoved=count_second_factors_of_other_keys,
            unmoved="second factors are encrypted under it: `manage.py rotate SAAS_MFA_KEY --move` moves them",
            move_all=encrypt_second_factors_anew,
        ),
        RotatingSecret(
            "JWT_SIGNING_KEY",
            lambda: _key_ids(Audience.CUSTOMER),
            needed_for=session_lifetimes.lifetimes_for(Audience.CUSTOMER).access_token,
        ),
        RotatingSecret(
            "JWT_STAFF_SIGNING_KEY",
            lambda: _key_ids(Audience.STAFF),
            needed_for=session_lifetimes.lifetimes_for(Audience.STAFF).access_token,
        ),
    ]
)
