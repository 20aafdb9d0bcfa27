"""Django's SMTP, greeting with a name that mail servers accept."""

import smtplib
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend as SMTPBackend
from django.core.mail.utils import DNS_NAME


class _Greeting(smtplib.SMTP):
    def __init__(self, *address: Any, **options: Any) -> None:
        super().__init__(*address, **{**options, "local_hostname": greeting_name()})


class _GreetingOverTLS(_Greeting, smtplib.SMTP_SSL):
    pass


class EmailBackend(SMTPBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """Servers refuse each mail after a greeting without a full name (RFC 5321, 4.1.1.1), and a container has none."""
        return _GreetingOverTLS if self.use_ssl else _Greeting


def greeting_name() -> str:
    """Return this machine's full host name. If it has none: that of Product's public URL, which in development is none either."""
    ours, public = DNS_NAME.get_fqdn(), urlsplit(settings.SERVICE_BASE_URLS["product"]).hostname or ""
    return ours if _is_full(ours) or not _is_full(public) else public


def _is_full(name: str) -> bool:
    """Whether the name has a domain that others may know, and is no IP address."""
    return "." in name.strip(".") and not name.endswith((".localdomain", ".local")) and not name[-1].isdigit()
