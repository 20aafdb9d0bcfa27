"""A staff_action to many rows of a list at once: the same question, with the names of all of them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from admin_ops.admin.action_pages import StaffAction, action_context
from admin_ops.admin.base import ReadOnlyModelAdmin
from saas.errors import DomainError

MAX_ROWS = 100


def run_bulk_action(
    page: ReadOnlyModelAdmin, request: HttpRequest, rows: QuerySet[Any], staff_action: StaffAction, *, action: str
) -> HttpResponseBase | None:
    """Do it if the page was confirmed, and go back to the list; else ask. ``action`` is the list's name for it."""
    chosen = list(rows[: MAX_ROWS + 1])
    if len(chosen) > MAX_ROWS:
        messages.error(request, f"Choose at most {MAX_ROWS} at once.")
        return None
    form = staff_action.form(request.POST if "confirmed" in request.POST else None)
    if not form.is_valid():
        return _question(page, request, chosen, staff_action, form, action)
    for row in chosen:
        _do(request, row, staff_action, form)
    return None


def _do(request: HttpRequest, row: Any, staff_action: StaffAction, form: forms.Form) -> None:
    try:
        sentence = staff_action.run(row, action_context(request, form))
    except DomainError as refusal:
        messages.error(request, f"{row}: {refusal.detail}")
    else:
        messages.success(request, sentence)


def _question(
    page: ReadOnlyModelAdmin,
    request: HttpRequest,
    rows: list[Any],
    staff_action: StaffAction,
    form: forms.Form,
    action: str,
) -> TemplateResponse:
    names = page.opts.verbose_name if len(rows) == 1 else page.opts.verbose_name_plural
    context = {
        **page.admin_site.each_context(request),
        "title": f"{staff_action.label} {len(rows)} {names}?",
        "opts": page.opts,
        "rows": rows,
        "action": staff_action,
        "form": form,
        "action_name": action,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin_ops/bulk_action.html", context)
