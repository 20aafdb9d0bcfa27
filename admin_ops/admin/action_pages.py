"""Staff actions in Django admin: a button on a row's page, a page with a form for each, and bulk actions in the list.

A page says what will happen and asks for the reason; then the action of ``admin_ops.actions`` runs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from rest_framework.request import Request

from admin_ops.actions import actions_for
from admin_ops.actions.base import ActionContext, Outcome, StaffAction
from admin_ops.actions.forms import ActionForm
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.permissions import enforce_limits, request_permissions, staff_session
from saas.errors import DomainError

MAX_ROWS = 100


class StaffActionAdmin(ReadOnlyModelAdmin):
    """A table whose rows have staff actions, each on a page of its own at ``<row>/do/<action>/``."""

    change_form_template = "admin_ops/change_form.html"

    @property
    def staff_actions(self) -> Sequence[StaffAction]:
        return actions_for(self.model)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["available_actions"] = self.available_actions(request, context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_action"
        page = path("<path:object_id>/do/<slug:name>/", self.admin_site.admin_view(self.action_view), name=name)
        return [page, *super().get_urls()]

    def row_url(self, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def available_actions(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The buttons of a row's page: what this member of staff may do, and what suits the row."""
        permissions = request_permissions(request)
        url_name = f"admin:{self.opts.app_label}_{self.opts.model_name}_action"
        return [
            {"action": action, "link": reverse(url_name, args=[row.pk, action.name])}
            for action in self.staff_actions
            if action.permission in permissions and action.available_for(row)
        ]

    def action_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        action = next((action for action in self.staff_actions if action.name == name), None)
        if row is None or action is None:
            raise Http404
        if action.permission not in request_permissions(request):
            raise PermissionDenied
        form = action.form(request.POST if request.method == "POST" else None)
        if form.is_valid() and (redirect := self._perform(request, row, action, form)):
            return redirect
        context = {
            **self.admin_site.each_context(request),
            "title": action.label,
            "opts": self.opts,
            "row": row,
            "action": action,
            "form": form,
            "back": self.row_url(row),
        }
        return TemplateResponse(request, "admin_ops/action.html", context, status=422 if form.errors else 200)

    def _perform(self, request: HttpRequest, row: Any, action: StaffAction, form: ActionForm) -> HttpResponse | None:
        """``None`` after a refusal, which is then among the form's errors."""
        try:
            outcome = _perform(request, row, action, form)
        except DomainError as refusal:
            for field, sentences in (refusal.errors or {}).items():
                form.add_error(field if field in form.fields else None, list(sentences))
            if not form.errors:
                form.add_error(None, refusal.detail)
            return None
        messages.success(request, outcome.message)
        return HttpResponseRedirect(action.success_url(row, outcome) if action.success_url else self.row_url(row))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The bulk actions that this member of staff may use."""
        permissions = request_permissions(request)
        bulk = [action for action in self.staff_actions if action.is_bulk and action.permission in permissions]
        return {
            f"{action.name}_selected": (_bulk_view(action), f"{action.name}_selected", f"{action.label}…")
            for action in bulk
        }


BulkView = Callable[[StaffActionAdmin, HttpRequest, QuerySet[Any]], HttpResponseBase | None]


def _bulk_view(action: StaffAction) -> BulkView:
    def run_bulk_action(admin: StaffActionAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase | None:
        """Ask on a page that names all rows; once that is confirmed, run the action on each and go back to the list."""
        chosen = list(rows[: MAX_ROWS + 1])
        if len(chosen) > MAX_ROWS:
            messages.error(request, f"Choose at most {MAX_ROWS} at once.")
            return None
        form = action.form(request.POST if "confirmed" in request.POST else None)
        if form.is_valid():
            for row in chosen:
                try:
                    messages.success(request, _perform(request, row, action, form).message)
                except DomainError as refusal:
                    messages.error(request, f"{row}: {refusal.detail}")
            return None
        names = admin.opts.verbose_name if len(chosen) == 1 else admin.opts.verbose_name_plural
        context = {
            **admin.admin_site.each_context(request),
            "title": f"{action.label} {len(chosen)} {names}?",
            "opts": admin.opts,
            "rows": chosen,
            "action": action,
            "form": form,
            "action_name": f"{action.name}_selected",
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin_ops/bulk_action.html", context)

    return run_bulk_action


def _perform(request: HttpRequest, row: Any, action: StaffAction, form: ActionForm) -> Outcome:
    """Counted by the same rate limits as the API's requests. Raises ``DomainError``."""
    session = staff_session(request)
    if session is None or session.user is None:
        raise PermissionDenied
    api_request = Request(request)
    api_request.user = session.user  # whom a limit counts
    enforce_limits(api_request, *action.limits)
    context = ActionContext(session.user, session, request_permissions(request))
    return action.perform(row, context, form.arguments)
