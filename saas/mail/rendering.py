"""Rendering a mail from its row, its template and its encrypted values."""

import re
from collections.abc import Mapping
from copy import copy
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template import TemplateDoesNotExist
from django.template.loader import get_template, render_to_string

from saas.localization.languages import language_of
from saas.localization.user_agents import describe_agent
from saas.mail.brand import mail_brand
from saas.mail.models import Mail
from saas.security.encryption import decrypt

USER_SUPPLIED = {
    "name",
    "inviter",
    "team",
    "key",
    "maker",
}  # typed by a person whom the recipient may not know
_LONGEST_WORDS = 60
_LINK = re.compile(r"://|www\.|\w\.\w{2,}", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@:/]+@[^\s@:/]+")
_BLANK_LINES = re.compile(r"\n\s*\n")


def render_message(mail: Mail) -> EmailMultiAlternatives:
    """Build text and HTML in the mail's language. The Message-ID depends on the row only, so that a mailbox shows a mail that
    was sent twice once."""
    with language_of(mail.locale):
        values = {**_values(mail), "frontend": settings.FRONTEND_BASE_URL, "brand": mail_brand()}
        subject, _, text = _render(mail, "txt", values).strip().partition("\n")
        html = _render(mail, "html", {**values, "subject": subject.strip()})
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    headers = {
        "Message-ID": f"<{mail.pk}.{int(mail.created_at.timestamp())}@{sender}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office replies
    }
    text = _BLANK_LINES.sub("\n\n", text).strip() + "\n"
    built = EmailMultiAlternatives(subject.strip(), text, to=[mail.recipient], headers=headers)
    built.attach_alternative(html, "text/html")
    return built


_TOKEN = re.compile(r"\btoken\b")  # the name of every secret value of a mail
_NO_TEXT = "Its template is no longer there, so its text cannot be shown, nor sent again."


def has_template(mail: Mail) -> bool:
    """Whether it can be rendered: rows outlive the module, or the release, that had the template."""
    return bool(_source(mail))


def uses_secrets(mail: Mail) -> bool:
    """Whether the mail has a link that works once, whether or not its row still holds it."""
    return bool(mail.sealed) or bool(_TOKEN.search(_source(mail)))


def _source(mail: Mail) -> str:
    try:
        return str(get_template(f"mail/{mail.template}.txt").template.source)  # type: ignore[attr-defined]
    except TemplateDoesNotExist:
        return ""


def render_without_secrets(mail: Mail) -> EmailMultiAlternatives:
    """The mail as others than its recipient may see it: links that work once lead nowhere."""
    if not has_template(mail):
        return EmailMultiAlternatives(mail.template, _NO_TEXT, to=[mail.recipient])
    shown = copy(mail)
    shown.sealed = {}
    return render_message(shown)


def _values(mail: Mail) -> dict[str, str]:
    """The row's values, decrypted and made harmless."""
    keys = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    opened = {name: decrypt(value, secrets=keys) for name, value in mail.sealed.items()}
    return {**{name: _harmless(name, text) for name, text in mail.context.items()}, **opened}


def _harmless(name: str, text: str) -> str:
    if name == "agent":
        return describe_agent(text)
    return sanitize_user_text(text) if name in USER_SUPPLIED else text


def _render(mail: Mail, kind: str, values: Mapping[str, Any]) -> str:
    """One template makes both: it extends the ``layout`` and includes the ``button`` of its kind, ``txt`` or ``html``."""
    parts = {"layout": f"mail/base.{kind}", "button": f"mail/button.{kind}"}
    return render_to_string(f"mail/{mail.template}.txt", {**values, **parts})


def sanitize_user_text(words: str) -> str:
    """Return the text on one line; an empty string if it contains a link or is long.

    A person who registers a stranger's address must not send them a message in a name. A single e-mail address is kept.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    if _ADDRESS.fullmatch(plain):
        return plain
    return "" if len(plain) > _LONGEST_WORDS or _LINK.search(plain) else plain
