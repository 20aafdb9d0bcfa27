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
from admin_ops.admin.base import DeskAdmin
from admin_ops.admin.permissions import permissions_in, session_of
from saas.accounts.models import LoginSession, User
from saas.accounts.staff.staff_roles import Permission
from saas.errors import DomainError


@dataclass(frozen=True)
class Doer:
    """Who does it, from which session, and what was written into the form."""

    request: HttpRequest
    session: LoginSession
    user: User
    fields: dict[str, Any]

    @property
    def reason(self) -> str:
        return str(self.fields.get("reason", ""))


Act = Callable[[Any, Doer], str]


@dataclass(frozen=True)
class Deed:
    """``act`` is the domain's action; it returns the sentence that is shown when it is done. ``name`` stands in the
    address, ``fits`` says for which rows it is offered, ``leads_to`` where one is afterwards, if not back at the row."""

    name: str
    label: str
    icon: str
    what: str
    needs: Permission
    act: Act
    form: type[forms.Form] = ReasonForm
    fits: Callable[[Any], bool] = lambda row: True
    is_grave: bool = False
    leads_to: Callable[[Any, Doer], str] | None = None


class DeskAdminWithDeeds(DeskAdmin):
    """A table whose rows have deeds, each on a page of its own at ``<row>/do/<deed>/``."""

    deeds: ClassVar[Sequence[Deed]] = ()
    change_form_template = "desk/with_deeds.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["offered"] = self.offered(request, context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        mine = path("<path:object_id>/do/<slug:name>/", self.admin_site.admin_view(self.deed_view), name=name)
        return [mine, *super().get_urls()]

    def offered(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The buttons of a row's page: what this member of staff may do to it, and what fits."""
        held = permissions_in(request)
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_do"
        return [
            {"deed": deed, "link": reverse(page, args=[row.pk, deed.name])}
            for deed in self.deeds
            if deed.needs in held and deed.fits(row)
        ]

    def deed_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        row = self.get_object(request, object_id) if self.has_view_permission(request) else None
        deed = next((deed for deed in self.deeds if deed.name == name), None)
        if row is None or deed is None:
            raise Http404
        if deed.needs not in permissions_in(request):
            raise PermissionDenied
        form = deed.form(request.POST if request.method == "POST" else None)
        if form.is_valid() and (done := self._do(request, row, deed, form)):
            return done
        return self._asked(request, row, deed, form)

    def _do(self, request: HttpRequest, row: Any, deed: Deed, form: forms.Form) -> HttpResponse | None:
        doer = doer_of(request, form)
        try:
            sentence = deed.act(row, doer)
        except DomainError as refusal:
            for field, sentences in (refusal.errors or {}).items():
                form.add_error(field if field in form.fields else None, list(sentences))
            if not form.errors:
                form.add_error(None, refusal.detail)
            return None
        messages.success(request, sentence)
        return HttpResponseRedirect(deed.leads_to(row, doer) if deed.leads_to else self.page_of(row))

    def page_of(self, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def _asked(self, request: HttpRequest, row: Any, deed: Deed, form: forms.Form) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": deed.label,
            "opts": self.opts,
            "row": row,
            "deed": deed,
            "form": form,
            "back": self.page_of(row),
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "desk/deed.html", context, status=status)


def doer_of(request: HttpRequest, form: forms.Form) -> Doer:
    session = session_of(request)
    if session is None or session.user is None:
        raise PermissionDenied
    return Doer(request, session, session.user, form.cleaned_data)
