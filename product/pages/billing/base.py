"""The frame of billing's pages: whose they are, and where they lead."""

from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from product.billing.bases import card_number_faults
from product.pages.base import AccountFormPage, AccountPage, refusal_text
from product.pages.teams.base import BILLING_PAGE, TeamPage
from saas.billing.models import Owner
from saas.errors import DomainError, Forbidden, Invalid, NotFound
from saas.teams.plan_limits import seats_needed
from saas.teams.roles import Permission

# The last part of each route's name, and of its address.
OVERVIEW, PLANS, CHECKOUT, CHANGE, END, RESUME, PORTAL = "", "plans", "checkout", "change", "end", "resume", "portal"
CALL_OFF, DETAILS, INVOICE = "call_off", "details", "invoice"
_ROUTES = (PLANS, CHECKOUT, CHANGE, CALL_OFF, END, RESUME, PORTAL, DETAILS)
PERSONAL_FRAME, TEAM_FRAME = "product/pages/billing/personal.html", "product/pages/teams/base.html"


def route_name(part: str, *, of_team: bool) -> str:
    return "-".join(filter(None, (BILLING_PAGE if of_team else "billing", part)))


class BillingPage(TeamPage):
    """What the person who looks pays for or, with a team in the address, that team, which only its owner may see."""

    here: ClassVar[str] = BILLING_PAGE
    permission = Permission.MANAGE_BILLING
    refusals_lead_to: ClassVar[str] = OVERVIEW
    owner: Owner

    def admit(self) -> HttpResponseBase | None:
        if self.of_team:
            answer = super().admit()
            self.section = "teams"  # type: ignore[misc]
        else:
            answer = AccountPage.admit(self)
            self.section = "billing"  # type: ignore[misc]
        if answer is None:
            self.owner = self.actor.team if self.of_team else self.known.user
        return answer

    @property
    def of_team(self) -> bool:
        return "team_id" in self.kwargs

    @property
    def seats(self) -> int:
        """How many the owner needs at least."""
        return seats_needed(self.owner)

    def context(self) -> dict[str, Any]:
        shared = super().context() if self.of_team else AccountPage.context(self)
        return {
            **shared,
            "frame": TEAM_FRAME if self.of_team else PERSONAL_FRAME,
            "overview": self.to(OVERVIEW),
            "to": {part: self.to(part) for part in _ROUTES},
        }

    def to(self, part: str) -> str:
        """The address of another page about the same owner."""
        team = [self.kwargs["team_id"]] if self.of_team else []
        return reverse(route_name(part, of_team=self.of_team), args=team)

    def back_url(self) -> str:
        return self.to(OVERVIEW)

    def lead_to(self, part: str, *, text: str = "") -> HttpResponseRedirect:
        """``text`` says what was done."""
        if text:
            messages.success(self.request, text)
        return HttpResponseRedirect(self.to(part))

    def refused(self, refusal: DomainError) -> HttpResponse:
        """Show the refusal as a message on ``refusals_lead_to``; 403, 404 and the impersonated view get the error page."""
        if not hasattr(self, "owner") or isinstance(refusal, NotFound | Forbidden) or self._impersonation:
            return super().refused(refusal)
        messages.error(self.request, refusal_text(refusal))
        return self.lead_to(self.refusals_lead_to)


class BillingFormPage(BillingPage, AccountFormPage):
    """A form. It refuses card numbers, as the API does."""

    def post(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        if faults := card_number_faults([dict(request.POST.lists())]):
            return self.show_refusal(self.form.filled(request.POST, **self.values_besides()), Invalid(errors=faults))
        return super().post(request, **place)


class BillingAction(BillingPage):
    """A button: nothing is shown at its own address."""

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        return self.lead_to(OVERVIEW)
