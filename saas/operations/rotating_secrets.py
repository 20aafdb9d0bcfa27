"""Secrets of no app of their own that can be rotated."""

from datetime import timedelta

from django.conf import settings

from saas.operations.rotation.rotating_secrets import RotatingSecret, register

register(
    [
        RotatingSecret(
            "SECRET_KEY",
            lambda: [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS],
            needed_for=timedelta(
                days=1
            ),  # links of mails that are still tried again, cursors; not the mark of a known device
        ),
        RotatingSecret("INTERNALS_TOKEN", lambda: [settings.INTERNALS_TOKEN, *settings.INTERNALS_TOKEN_FALLBACKS]),
    ]
)
