"""``/dev/mail``: the mails of a development machine as their readers see them; 404 in production.

The links of a mail are kept after sending only where ``MAILS_ARE_SHOWN``.
"""

from contextlib import suppress

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from saas.api.pages.rendering import render_page
from saas.mail import rendering
from saas.mail.models import Mail
from saas.security.encryption import DecryptionFailed

MAX_SHOWN = 100


@require_safe
def list_mails(request: HttpRequest) -> HttpResponse:
    """The newest first."""
    _require_development()
    rows = Mail.objects.order_by("-pk")[:MAX_SHOWN]
    mails = [(row, rendering.render_without_secrets(row).subject) for row in rows]
    return render_page(request, "product/dev/mails.html", {"mails": mails})


@require_safe
def show_mail(request: HttpRequest, mail_id: int) -> HttpResponse:
    _require_development()
    row = get_object_or_404(Mail, pk=mail_id)
    message = _render(row)
    html = message.alternatives[0][0] if message.alternatives else ""
    shown = {"row": row, "message": message, "html": html}
    return render_page(request, "product/dev/mail.html", shown, styles="'unsafe-inline'")  # the mail's own


def _render(row: Mail) -> EmailMultiAlternatives:
    """The mail; without its links where another ``SECRET_KEY`` encrypted them, without text where its template is gone."""
    with suppress(DecryptionFailed):
        if rendering.has_template(row):
            return rendering.render_message(row)
    return rendering.render_without_secrets(row)


def _require_development() -> None:
    if not settings.MAILS_ARE_SHOWN:
        raise Http404
