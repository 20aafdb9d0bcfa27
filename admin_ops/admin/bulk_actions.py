"""A deed to many rows of a list at once: the same question, with the names of all of them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from admin_ops.admin.action_pages import Deed, doer_of
from admin_ops.admin.base import DeskAdmin
from saas.errors import DomainError

AT_ONCE = 100


def confirmed(
    page: DeskAdmin, request: HttpRequest, rows: QuerySet[Any], deed: Deed, *, action: str
) -> HttpResponseBase | None:
    """Do it if the page was confirmed, and go back to the list; else ask. ``action`` is the list's name for it."""
    chosen = list(rows[: AT_ONCE + 1])
    if len(chosen) > AT_ONCE:
        messages.error(request, f"Choose at most {AT_ONCE} at once.")
        return None
    form = deed.form(request.POST if "confirmed" in request.POST else None)
    if not form.is_valid():
        return _question(page, request, chosen, deed, form, action)
    for row in chosen:
        _do(request, row, deed, form)
    return None


def _do(request: HttpRequest, row: Any, deed: Deed, form: forms.Form) -> None:
    try:
        sentence = deed.act(row, doer_of(request, form))
    except DomainError as refusal:
        messages.error(request, f"{row}: {refusal.detail}")
    else:
        messages.success(request, sentence)


def _question(
    page: DeskAdmin, request: HttpRequest, rows: list[Any], deed: Deed, form: forms.Form, action: str
) -> TemplateResponse:
    names = page.opts.verbose_name if len(rows) == 1 else page.opts.verbose_name_plural
    context = {
        **page.admin_site.each_context(request),
        "title": f"{deed.label} {len(rows)} {names}?",
        "opts": page.opts,
        "rows": rows,
        "deed": deed,
        "form": form,
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "desk/confirm.html", context)
