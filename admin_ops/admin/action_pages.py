"""Staff actions in Django admin: a button on a row's page, a page with a form for each, and bulk actions in the list.

A page says what will happen and asks for the reason; then the action of ``admin_ops.actions`` runs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from rest_framework.request import Request

from admin_ops.actions import actions_for, creation_of
from admin_ops.actions.base import ActionContext, ActionResult, StaffAction
from admin_ops.actions.effects import TOKEN_FIELD, ShownEffect, is_confirmed, shown_effect
from admin_ops.actions.forms import ActionForm
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.permissions import enforce_limits, request_permissions, staff_session
from admin_ops.admin.recent_login import PASSWORD_FIELD, password_step
from admin_ops.offers import address_key, offers_of
from saas.api.pages import submissions
from saas.errors import DomainError

MAX_ROWS = 100


class StaffActionAdmin(ReadOnlyModelAdmin):
    """A table whose rows have staff actions, each on a page of its own at ``<row>/do/<action>/``."""

    @property
    def staff_actions(self) -> Sequence[StaffAction]:
        return actions_for(self.model)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["available_actions"] = offers_of(context["original"], request_permissions(request))
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_action"
        page = path("<path:object_id>/do/<slug:name>/", self.admin_site.admin_view(self.action_view), name=name)
        return [page, *super().get_urls()]

    def row_url(self, row: Any) -> str:
        """Its page; that of the list without one."""
        table = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return reverse(f"{table}_change", args=[address_key(row.pk)]) if row else reverse(f"{table}_changelist")

    def action_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        row = self.get_object(request, unquote(object_id)) if self.has_view_permission(request) else None
        action = next((action for action in self.staff_actions if action.name == name), None)
        if row is None or action is None:
            raise Http404
        return self._action_page(request, row, action)

    def has_add_permission(self, request: HttpRequest) -> bool:
        creation = creation_of(self.model)
        return creation is not None and creation.permission in request_permissions(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if (creation := creation_of(self.model)) is None:
            raise PermissionDenied
        return self._action_page(request, None, creation)

    def _action_page(self, request: HttpRequest, row: Any, action: StaffAction) -> HttpResponse:
        """``row`` is ``None`` for an action that creates one."""
        if action.permission not in request_permissions(request):
            raise PermissionDenied
        is_available = action.available_for(row)
        back = self.back_url(request, row)
        if is_available and (asked := self._password_page(request, row, action, back)):
            return asked
        form = action.form(request.POST if request.method == "POST" else None, row=row)
        effect = shown_effect(action, row, form) if is_available else None
        if effect and "preview" in request.POST:
            return TemplateResponse(request, "admin_ops/parts/effect.html", {"effect": effect})
        page = partial(self._form_page, request, row, action, form, effect, back)
        return _answer_once(request, page, back) if form.is_bound else page()

    def _form_page(
        self,
        request: HttpRequest,
        row: Any,
        action: StaffAction,
        form: ActionForm,
        effect: ShownEffect | None,
        back: str,
    ) -> HttpResponse:
        """Lead away once the action is done; else show the form. Without ``effect`` the action does not suit the row."""
        if effect and form.is_valid() and (done := self._confirm(request, row, action, form, effect)):
            return HttpResponseRedirect(action.success_url(row, done) if action.success_url else back)
        context = {
            **self._page_context(request, row, action, back),
            "form": form,
            "form_key": submissions.new_form_key(),
            "is_available": effect is not None,
            "effect": effect,
        }
        status = 409 if effect is None else 422 if form.errors else 200
        return TemplateResponse(request, "admin_ops/action.html", context, status=status)

    def _password_page(self, request: HttpRequest, row: Any, action: StaffAction, back: str) -> HttpResponse | None:
        """Before the form. Where the login grew old while the form was filled in, what was filled in goes along."""
        if not action.needs_recent_login:
            return None
        filled_in = [(name, value) for name in action.form.base_fields for value in request.POST.getlist(name)]
        if step := password_step(request):
            if step.refusal and action.on_refusal:
                action.on_refusal(row, _context(request), step.refusal)
            context = {
                **self._page_context(request, row, action, back),
                "form": step.form,
                "filled_in": filled_in,
                "form_key": request.POST.get("form_key", ""),
            }
            return TemplateResponse(
                request, "admin_ops/confirm_password.html", context, status=422 if step.refusal else 200
            )
        has_confirmed = PASSWORD_FIELD in request.POST and not filled_in
        return HttpResponseRedirect(request.get_full_path()) if has_confirmed else None

    def _page_context(self, request: HttpRequest, row: Any, action: StaffAction, back: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": action.label,
            "opts": self.opts,
            "row": row,
            "original": row,  # for the path above the page
            "action": action,
            "back": back,
        }

    def back_url(self, request: HttpRequest, row: Any = None) -> str:
        """The page of ours that the button was on, with its filters; else the row's, or the list's without a row."""
        back = request.POST.get("back") or request.GET.get("back", "")
        is_ours = back.startswith(reverse("admin:index")) and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
        return back if is_ours else self.row_url(row)

    def _confirm(
        self, request: HttpRequest, row: Any, action: StaffAction, form: ActionForm, effect: ShownEffect
    ) -> ActionResult | None:
        """``None`` if another effect was shown than it would have now: then the page shows that one."""
        if is_confirmed(action, effect, request.POST.get(TOKEN_FIELD, "")):
            return self._perform(request, row, action, form)
        form.add_error(None, "Read above what exactly will happen, and confirm it.")
        return None

    def _perform(self, request: HttpRequest, row: Any, action: StaffAction, form: ActionForm) -> ActionResult | None:
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
        return outcome

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
        is_confirmed = "confirmed" in request.POST
        form = action.form(request.POST if is_confirmed else None)
        back = admin.back_url(request) if is_confirmed else request.get_full_path()
        if form.is_valid():
            return _answer_once(request, partial(_perform_on_all, request, chosen, action, form, back), back)
        names = admin.opts.verbose_name if len(chosen) == 1 else admin.opts.verbose_name_plural
        context = {
            **admin.admin_site.each_context(request),
            "title": f"{action.label} {len(chosen)} {names}?",
            "opts": admin.opts,
            "rows": chosen,
            "action": action,
            "form": form,
            "form_key": submissions.new_form_key(),
            "action_name": f"{action.name}_selected",
            "checkbox": ACTION_CHECKBOX_NAME,
            "back": back,
        }
        return TemplateResponse(request, "admin_ops/bulk_action.html", context)

    return run_bulk_action


def _perform_on_all(
    request: HttpRequest, rows: Sequence[Any], action: StaffAction, form: ActionForm, back: str
) -> HttpResponse:
    for row in rows:
        _perform_in_bulk(request, row, action, form)
    return HttpResponseRedirect(back)


def _perform_in_bulk(request: HttpRequest, row: Any, action: StaffAction, form: ActionForm) -> None:
    if not action.available_for(row):
        messages.error(request, f"{row}: {action.unavailable}")
        return
    try:
        messages.success(request, _perform(request, row, action, form).message)
    except DomainError as refusal:
        messages.error(request, f"{row}: {refusal.detail}")


def _perform(request: HttpRequest, row: Any, action: StaffAction, form: ActionForm) -> ActionResult:
    """Counted by the same rate limits as the API's requests. Raises ``DomainError``."""
    context = _context(request)
    api_request = Request(request)
    api_request.user = context.user  # whom a limit counts
    enforce_limits(api_request, *action.limits)
    return action.perform(row, context, form.arguments)


def _answer_once(request: HttpRequest, work: Callable[[], HttpResponse], back: str) -> HttpResponse:
    """A double click does its work once."""

    def meanwhile() -> HttpResponse:
        messages.warning(
            request, "This was sent twice, and the first is not done yet. Look in a moment whether it was done."
        )
        return HttpResponseRedirect(back)

    return submissions.answer_once(request, _context(request).session.sid, work, meanwhile=meanwhile)


def _context(request: HttpRequest) -> ActionContext:
    session = staff_session(request)
    if session is None or session.user is None:
        raise PermissionDenied
    return ActionContext(session.user, session, request_permissions(request))
