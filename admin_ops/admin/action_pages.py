"""What staff do to a row: a page that says what will happen and asks why, and then the domain's action."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from admin_ops.admin.action_forms import ReasonForm
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.permissions import request_permissions, staff_session
from saas.accounts.models import LoginSession, User
from saas.accounts.staff.staff_roles import Permission
from saas.errors import DomainError


@dataclass(frozen=True)
class ActionContext:
    """Who does it, from which session, and what was written into the form."""

    request: HttpRequest
    session: LoginSession
    user: User
    fields: dict[str, Any]

    @property
    def reason(self) -> str:
        return str(self.fields.get("reason", ""))


Run = Callable[[Any, ActionContext], str]


@dataclass(frozen=True)
class StaffAction:
    """``act`` is the domain's action; it returns the sentence that is shown when it is done. ``name`` stands in the
    address, ``fits`` says for which rows it is offered, ``leads_to`` where one is afterwards, if not back at the row."""

    name: str
    label: str
    icon: str
    description: str
    permission: Permission
    run: Run
    form: type[forms.Form] = ReasonForm
    available_for: Callable[[Any], bool] = lambda row: True
    is_destructive: bool = False
    success_url: Callable[[Any, ActionContext], str] | None = None


class StaffActionAdmin(ReadOnlyModelAdmin):
    """A table whose rows have staff_actions, each on a page of its own at ``<row>/do/<action>/``."""

    staff_actions: ClassVar[Sequence[StaffAction]] = ()
    change_form_template = "admin_ops/change_form.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["available_actions"] = self.available_actions(request, context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_action"
        mine = path("<path:object_id>/do/<slug:name>/", self.admin_site.admin_view(self.action_view), name=name)
        return [mine, *super().get_urls()]

    def available_actions(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The buttons of a row's page: what this member of staff may do to it, and what fits."""
        held = request_permissions(request)
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_action"
        return [
            {"action": action, "link": reverse(page, args=[row.pk, action.name])}
            for action in self.staff_actions
            if action.permission in held and action.available_for(row)
        ]

    def action_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        action = next((action for action in self.staff_actions if action.name == name), None)
        if row is None or action is None:
            raise Http404
        if action.permission not in request_permissions(request):
            raise PermissionDenied
        form = action.form(request.POST if request.method == "POST" else None)
        if form.is_valid() and (done := self._do(request, row, action, form)):
            return done
        return self._form_page(request, row, action, form)

    def _do(self, request: HttpRequest, row: Any, action: StaffAction, form: forms.Form) -> HttpResponse | None:
        context = action_context(request, form)
        try:
            sentence = action.run(row, context)
        except DomainError as refusal:
            for field, sentences in (refusal.errors or {}).items():
                form.add_error(field if field in form.fields else None, list(sentences))
            if not form.errors:
                form.add_error(None, refusal.detail)
            return None
        messages.success(request, sentence)
        return HttpResponseRedirect(action.success_url(row, context) if action.success_url else self.row_url(row))

    def row_url(self, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def _form_page(self, request: HttpRequest, row: Any, action: StaffAction, form: forms.Form) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": action.label,
            "opts": self.opts,
            "row": row,
            "action": action,
            "form": form,
            "back": self.row_url(row),
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin_ops/action.html", context, status=status)


def action_context(request: HttpRequest, form: forms.Form) -> ActionContext:
    session = staff_session(request)
    if session is None or session.user is None:
        raise PermissionDenied
    return ActionContext(request, session, session.user, form.cleaned_data)
