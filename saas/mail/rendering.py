"""Rendering a mail from its row, its template and its encrypted values."""

import re
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

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


def render_message(mail: Mail) -> EmailMultiAlternatives:
    """Build text and HTML. The Message-ID depends on the row only, so that a mailbox shows a mail that was sent twice once."""
    keys = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    opened = {name: decrypt(value, secrets=keys) for name, value in mail.sealed.items()}
    given = {name: sanitize_user_text(text) if name in USER_SUPPLIED else text for name, text in mail.context.items()}
    values = {**given, **opened, "frontend": settings.FRONTEND_BASE_URL}
    subject, _, text = render_to_string(f"mail/{mail.template}.txt", values).strip().partition("\n")
    values["subject"] = subject.strip()
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    headers = {
        "Message-ID": f"<{mail.pk}.{int(mail.created_at.timestamp())}@{sender}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office replies
    }
    built = EmailMultiAlternatives(subject.strip(), text.strip() + "\n", to=[mail.recipient], headers=headers)
    built.attach_alternative(render_to_string(f"mail/{mail.template}.html", values), "text/html")
    return built


def sanitize_user_text(words: str) -> str:
    """Return the text on one line; an empty string if it contains a link or is long.

    A person who registers a stranger's address must not send them a message in a name. A single e-mail address is kept.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    if _ADDRESS.fullmatch(plain):
        return plain
    return "" if len(plain) > _LONGEST_WORDS or _LINK.search(plain) else plain
