"""Django's SMTP, greeting with a name that mail servers accept."""

import smtplib
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend as SMTPBackend
from django.core.mail.utils import DNS_NAME


class _NamedSMTP(smtplib.SMTP):
    def __init__(self, *address: Any, **options: Any) -> None:
        super().__init__(*address, **{**options, "local_hostname": greeting_name()})


class _NamedSMTPOverTLS(_NamedSMTP, smtplib.SMTP_SSL):
    pass


class EmailBackend(SMTPBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """Servers refuse each mail after a greeting without a full name (RFC 5321, 4.1.1.1), and a container has none."""
        return _NamedSMTPOverTLS if self.use_ssl else _NamedSMTP


def greeting_name() -> str:
    """Return this machine's full host name, else that of Product's public URL. If neither is full: the former as it is."""
    ours, public = DNS_NAME.get_fqdn(), urlsplit(settings.SERVICE_BASE_URLS["product"]).hostname or ""
    return public if _is_full(public) and not _is_full(ours) else ours


def _is_full(name: str) -> bool:
    """Whether the name has a domain that others may know, and is no IP address."""
    return "." in name.strip(".") and not name.endswith((".localdomain", ".local")) and not name[-1].isdigit()
