"""Where the account is logged in, and when support looked at it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from product.pages.account.base import SectionPage
from saas.accounts.models import Impersonation, LoginSession
from saas.accounts.sessions import logins
from saas.api.pagination import paginate
from saas.audit.models import AuditEvent
from saas.errors import NotFound
from saas.localization.user_agents import describe_agent

MOST_VISITS = 50  # the API has the older ones


class DevicesPage(SectionPage):
    here = "account-devices"
    template = "product/pages/account/devices.html"

    def context(self) -> dict[str, Any]:
        mine = LoginSession.objects.usable().filter(user=self.known.user).order_by("-last_seen_at")
        rows = [
            {"row": row, "name": describe_agent(row.agent), "is_current": row.pk == self.known.session.pk}
            for row in mine
        ]
        rows.sort(key=lambda shown: not shown["is_current"])
        return {**super().context(), "devices": rows}

    def post(self, request: HttpRequest) -> HttpResponse:
        sid = request.POST.get("session", "")
        if not sid:
            logins.log_out_elsewhere(self.known.session)
            messages.success(request, gettext("All other devices are logged out."))
            return HttpResponseRedirect(request.path)
        session = LoginSession.objects.filter(user=self.known.user, sid=sid).first()  # it may have ended meanwhile
        if session is None:
            raise NotFound
        logins.log_out(session)
        messages.success(request, gettext("That device is logged out."))
        return HttpResponseRedirect(request.path)


class SupportVisitsPage(SectionPage):
    here = "account-support-visits"
    template = "product/pages/account/support_visits.html"

    def context(self) -> dict[str, Any]:
        page = paginate(Impersonation.objects.of_customer(self.known.user), cursor="", limit=MOST_VISITS)
        counts = AuditEvent.objects.count_impersonated_requests(
            [row.pk for row in page.items], act_as=self.known.user.pk
        )
        visits = [{"row": row, "ended_at": row.over_at(), "requests": counts.get(row.pk, 0)} for row in page.items]
        return {**super().context(), "visits": visits}
