"""The admin site: access, login and logout."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from unfold.sites import UnfoldAdminSite

from admin_ops.admin.csp import with_csp
from admin_ops.admin.fresh_reads import remember_changes
from admin_ops.admin.pages import password
from admin_ops.admin.pages.alarms import alarms_page
from admin_ops.admin.pages.login import login_page, redirect_target
from admin_ops.admin.pages.search import search_page
from admin_ops.admin.permissions import request_permissions, staff_session
from saas.accounts.sessions import logins
from saas.accounts.sessions.session_store import SessionStore

if TYPE_CHECKING:
    _Site = AdminSite
else:
    _Site = UnfoldAdminSite

# Django's password form would not end our sessions; the other two look up rows of any table.
_NOT_HERE = {"password_change", "password_change_done", "autocomplete", "view_on_site"}
_FORM = [never_cache, sensitive_post_parameters(), require_http_methods(["GET", "HEAD", "POST"])]


class AdminOpsSite(_Site):
    """Django admin behind the API's login: the same rate limit, session, audience and audit. Users without a role get the
    login page."""

    index_title = "Dashboard"
    index_template = "admin_ops/dashboard.html"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request_permissions(request))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        rest = [url for url in super().get_urls() if getattr(url, "name", None) not in _NOT_HERE]
        here = [path("password/", self.set_password, name="set-password")]
        if settings.BILLING:
            here.append(path("alarms/", self.admin_view(self.alarms), name="alarms"))
        return [*here, *rest]

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return search_page(request, self.each_context(request), self.get_app_list(request))

    def alarms(self, request: HttpRequest) -> HttpResponse:
        return alarms_page(request, self.each_context(request))

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        return with_csp(remember_changes(super().admin_view(view, cacheable)))

    @method_decorator([with_csp, *_FORM])
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST" and self.has_permission(request):
            return HttpResponseRedirect(redirect_target(request))
        return login_page(request, self.each_context(request))

    @method_decorator([with_csp, *_FORM])
    def set_password(self, request: HttpRequest) -> HttpResponse:
        """Reached by the link of ``manage.py create_staff``."""
        return password.password_page(request, self.each_context(request))

    @method_decorator([never_cache, require_POST])
    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if session := staff_session(request):
            logins.log_out(session)
        request.session = SessionStore()
        return HttpResponseRedirect(reverse("admin:login"))


admin_site = AdminOpsSite(name="admin")
