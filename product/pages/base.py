"""Base classes of every page: who looks, limits, languages, forms, refusals.

A page holds no rule: it calls the action that the API calls, with a body of the same serializer, under the same limits, and
shows the sentence of a refusal.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.translation import gettext
from django.views.generic import View
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from product.pages.impersonated_view import audited
from product.pages.next_pages import safe_next
from product.pages.provider_links import provider_links
from product.pages.visitors import Visitor, find_visitor
from saas.accounts.models import Impersonation, OAuthIdentity, User
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.api.authentication import SessionCredential
from saas.api.impersonation import NotWhileImpersonating
from saas.api.pages import submissions
from saas.api.pages.errors import with_retry_after
from saas.api.pages.forms import Field, Form, FormSpec
from saas.api.pages.rendering import page_language, render_page
from saas.api.problems import Problem
from saas.api.rate_limits import LOGIN, READS, WRITES, RateLimit, count_request, require_within_limit
from saas.errors import DomainError, Invalid, NotFound


def front_path(route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    """A route that is 404 where ``FRONT_PAGES`` is off."""

    def only_with_front_pages(request: HttpRequest, **place: str) -> HttpResponseBase:
        if not settings.FRONT_PAGES:
            raise Http404
        return view(request, **place)

    only_with_front_pages.csrf_exempt = getattr(view, "csrf_exempt", False)  # type: ignore[attr-defined]
    return path(route, only_with_front_pages, name=name)


class Page(View):
    """For everybody. ``section`` is the entry of the navigation that the page belongs to."""

    http_method_names = ["get", "head", "post"]  # noqa: RUF012  (Django's own is no ClassVar)
    limits: ClassVar[tuple[RateLimit, ...]] = ()  # of what is sent, as of the API's operation
    template: ClassVar[str] = ""
    section: ClassVar[str] = ""
    impersonated_reads: ClassVar[bool] = True  # whether the impersonated view shows the page
    images = ""  # another source of pictures, for the policy

    def dispatch(self, request: HttpRequest, *args: Any, **place: Any) -> HttpResponseBase:
        self.visitor = find_visitor(request)

        def answer() -> HttpResponseBase:
            with translation.override(page_language(request, self._person)):
                try:
                    self._require_reading()
                    return self.admit() or View.dispatch(self, request, *args, **place)
                except DomainError as refusal:
                    return self.refused(refusal)

        return audited(self._impersonation, request, answer) if self._impersonation else answer()

    def _require_reading(self) -> None:
        """In the impersonated view nothing is sent, and what is the customer's alone is not shown."""
        if self._impersonation and (self.request.method not in {"GET", "HEAD"} or not self.impersonated_reads):
            raise NotWhileImpersonating

    def admit(self) -> HttpResponseBase | None:
        """Count the request, and return the answer to one who may not go on."""
        if self.request.method == "POST":
            self.enforce_limits(*self.limits)
        return None

    def enforce_limits(self, *limits: RateLimit) -> None:
        """Count this request. Raises ``TooManyRequests``."""
        for limit in limits:
            if usage := count_request(limit, self._counted_request()):
                require_within_limit(usage)

    def _counted_request(self) -> Request:
        counted = Request(self.request, parser_context={"kwargs": self.kwargs})
        if self.visitor:
            counted.user = self.visitor.user
            counted.auth = SessionCredential(self.visitor.session, impersonation=self.visitor.impersonation)
        return counted

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        return self.render()

    def context(self) -> dict[str, Any]:
        """What the template needs besides the base's."""
        return {}

    def render(
        self, context: Mapping[str, Any] | None = None, *, template: str = "", status: int = 200
    ) -> HttpResponse:
        return render_page(
            self.request,
            template or self.template,
            {"section": self.section, "impersonation": self._impersonation, **self.context(), **(context or {})},
            status=status,
            person=self._person,
            images=self.images,
        )

    def refused(self, refusal: DomainError) -> HttpResponse:
        """A page with the sentence of a refusal that belongs to no form."""
        if isinstance(refusal, NotFound):
            return self.render_refusal("pages/error.html", refusal, heading=gettext("There is no such page"))
        return self.render_refusal("pages/error.html", refusal, heading=gettext("Not now"))

    def render_refusal(self, template: str, refusal: DomainError, **context: Any) -> HttpResponse:
        shown = {"text": refusal_text(refusal), "status": refusal.status, "impersonation": self._impersonation}
        answer = render_page(self.request, template, {**shown, **context}, status=refusal.status, person=self._person)
        return with_retry_after(answer, refusal)

    @property
    def _impersonation(self) -> Impersonation | None:
        return self.visitor.impersonation if self.visitor else None

    @property
    def _person(self) -> User | None:
        return self.visitor.user if self.visitor else None

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **place: Any) -> HttpResponse:
        allowed = [name.upper() for name in self.http_method_names if hasattr(self, name)]
        return Problem(405, headers={"Allow": ", ".join(allowed)})


def refusal_text(refusal: DomainError) -> str:
    """Its sentences, in the language of the page."""
    return " ".join(map(gettext, refusal.sentences))


class FormPage(Page, ABC):
    """A page of one form. ``submit`` gets the validated body, and returns where to go on; its refusal is shown in the form."""

    form: ClassVar[FormSpec]
    keeps_answers: ClassVar[bool] = True  # so that a form which is sent twice does its work once

    def initial(self) -> dict[str, Any]:
        """The values before anything was typed."""
        return {}

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        return self.show(self.form.blank(**self.initial()))

    def values_besides(self) -> dict[str, Any]:
        """Values of the body that no field holds."""
        return {}

    def post(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        return submissions.answer_once(request, self._sender, self._answer) if self.keeps_answers else self._answer()

    @property
    def _sender(self) -> str:
        return self.visitor.session.sid if self.visitor else self.request.COOKIES.get(settings.CSRF_COOKIE_NAME, "")

    def refused(self, refusal: DomainError) -> HttpResponse:
        """What the form is about is gone where it was sent before, by the same double click: then the first answer stands."""
        earlier = None
        if isinstance(refusal, NotFound) and self.request.method == "POST" and self.keeps_answers:
            earlier = submissions.earlier_answer(self.request, self._sender)
        return earlier or super().refused(refusal)

    def _answer(self) -> HttpResponse:
        form = self.form.filled(self.request.POST, **self.values_besides())
        try:
            return self.submit(form.cleaned())
        except (ReauthRequired, ConfirmationRefused):
            raise
        except DomainError as refusal:
            return self.show_refusal(form, refusal)

    def show_refusal(self, form: Form, refusal: DomainError) -> HttpResponse:
        return with_retry_after(self.show(form.refuse(refusal), status=refusal.status), refusal)

    @abstractmethod
    def submit(self, body: dict[str, Any]) -> HttpResponse:
        """Act on the validated ``body`` and answer. A ``DomainError`` is shown in the form."""

    def show(self, form: Form, *, status: int = 200) -> HttpResponse:
        form.key = submissions.new_form_key()
        return self.render({"form": form, **self.form_context()}, status=status)

    def form_context(self) -> dict[str, Any]:
        """What the form's own template needs, and no other that the page renders."""
        return {}


class ConfirmationRefused(Exception):
    """The password that was asked for again is wrong, or was wrong too often."""

    def __init__(self, refusal: DomainError) -> None:
        self.refusal = refusal
        super().__init__(refusal.detail)


class _PasswordBody(Serializer[Any]):
    """Shown only: what was typed is checked by ``require_recent_login``."""


class AccountPage(Page):
    """For customers who are logged in. Others log in first, and come back."""

    def admit(self) -> HttpResponseBase | None:
        if self.visitor is None:
            back = self.request.get_full_path() if self.request.method in {"GET", "HEAD"} else self.back_url()
            return redirect_to_login(back)
        self.enforce_limits(READS if self.request.method in {"GET", "HEAD"} else WRITES)
        return super().admit()

    def dispatch(self, request: HttpRequest, *args: Any, **place: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **place)
        except ConfirmationRefused as error:
            with translation.override(page_language(request, self._person)):
                return self._confirmation(error.refusal)

    @property
    def known(self) -> Visitor:
        assert self.visitor
        return self.visitor

    def back_url(self) -> str:
        """Where the form that was sent here stands."""
        return self.request.path

    def require_recent_login(self) -> None:
        """Go on after a login of the last minutes, or with the password that the page then asks for, keeping what was typed."""
        password = str(self.request.POST.get("current_password", ""))
        if password:
            self.enforce_limits(LOGIN)
        try:
            require_recent_login(self.known.session, current_password=password)
        except (Invalid, TooManyAttempts) as refusal:
            raise ConfirmationRefused(refusal) from refusal

    def refused(self, refusal: DomainError) -> HttpResponse:
        return self._confirmation(refusal) if isinstance(refusal, ReauthRequired) else super().refused(refusal)

    def _confirmation(self, refusal: DomainError) -> HttpResponse:
        """The form again, hidden, with a field for the password."""
        spec = FormSpec(
            _PasswordBody,
            Field("current_password", gettext("Your password"), kind="password", autocomplete="current-password"),
        )
        form = spec.blank()
        if not isinstance(refusal, ReauthRequired):
            form.refuse(refusal)
        hidden = [(n, v) for n, v in self.request.POST.items() if n not in {"csrfmiddlewaretoken", "current_password"}]
        providers = OAuthIdentity.objects.filter(user=self.known.user).values_list("provider", flat=True)
        context = {
            "form": form,
            "typed": hidden,
            "has_password": self.known.user.has_usable_password(),
            "providers": [link for link in provider_links(self.back_url()) if link.name in set(providers)],
            "back": self.back_url(),
        }
        answer = self.render(context, template="product/pages/confirm_password.html", status=refusal.status)
        return with_retry_after(answer, refusal)


class AccountFormPage(AccountPage, FormPage):
    """A form for customers who are logged in."""


def redirect_to_login(back: str) -> HttpResponseRedirect:
    wanted = safe_next(back)
    query = f"?{urlencode({'next': wanted})}" if wanted else ""
    return HttpResponseRedirect(reverse("login-page") + query)
