"""Invite people to a team, several at once; send again and withdraw."""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from product.pages.base import refusal_text
from product.pages.teams.base import TeamFormPage, TeamPage, list_page, role_options, with_role_names
from product.teams.invitations import invitation_mail_limits
from product.teams.serializers import InvitationBody
from saas.api.fields import StrictCharField
from saas.api.pages.forms import Field, Form, FormSpec
from saas.api.problems import flatten_errors
from saas.errors import DomainError, Invalid, NotFound
from saas.teams import invitations, roles
from saas.teams.invitations import InvitationRevoked, InvitationUsed
from saas.teams.models import Invitation
from saas.teams.roles import Permission, Role

MAX_AT_ONCE = 20
_BETWEEN = re.compile(r"[,;\n]")
_QUOTED = re.compile(r'"[^"\n]*"')
_BRACKETED = re.compile(r"<([^<>\n]*)>")


class InvitationsBody(serializers.Serializer[Any]):
    """Addresses with blanks, commas, semicolons or line breaks between, each checked as the API checks one. Also with names, as
    mail programs copy them: ``"Lee, Kim" <kim@example.net>``."""

    emails = StrictCharField(max_length=MAX_AT_ONCE * 256)
    role = serializers.ChoiceField(Role.choices)

    def validate_emails(self, value: str) -> list[str]:
        found = list(dict.fromkeys(_addresses(value)))
        if not found:
            raise serializers.ValidationError("Give at least one address.")
        if len(found) > MAX_AT_ONCE:
            raise serializers.ValidationError(f"Invite at most {MAX_AT_ONCE} at once.")
        return found


def _addresses(typed: str) -> Iterator[str]:
    """Every address. Other words, too, so that they are refused, but not those of a name before brackets."""
    for entry in _BETWEEN.split(_QUOTED.sub(_unquoted, typed)):
        bracketed = " ".join(_BRACKETED.findall(entry)).split()
        yield from bracketed
        yield from (word for word in _BRACKETED.sub(" ", entry).split() if "@" in word or not bracketed)


def _unquoted(found: re.Match[str]) -> str:
    """Drop a quoted name, which may contain a comma; keep a quoted address."""
    return found[0].strip('"') if "@" in found[0] else ""


class InvitationsPage(TeamFormPage):
    """The open invitations; for who may invite, the form."""

    here = "team-invitations-page"
    template = "product/pages/teams/invitations.html"
    permission = Permission.VIEW_INVITATIONS

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        if self.request.method == "POST":
            self.actor.require(Permission.MANAGE_INVITATIONS)
        self.refusals: list[tuple[str, str]] = []
        self.form = FormSpec(  # type: ignore[misc]
            InvitationsBody,
            Field(
                "emails", _("E-mail addresses"), kind="textarea", help=_("One on each line, or with commas between.")
            ),
            Field("role", _("Role"), kind="select", options=role_options(roles.assignable_roles(self.actor.role))),
        )
        return None

    def initial(self) -> dict[str, Any]:
        return {"role": Role.MEMBER}

    def context(self) -> dict[str, Any]:
        rows = Invitation.objects.visible_to(self.known.user).open().filter(team=self.actor.team)
        page = list_page(rows.select_related("invited_by"), self.request.GET.get("cursor", ""))
        shown = with_role_names(page.items)
        return {**super().context(), "invitations": shown, "next_cursor": page.next, "refusals": self.refusals}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        for email in body["emails"]:
            if sentence := self._refusal(email, body["role"]):
                self.refusals.append((email, sentence))
        if sent := len(body["emails"]) - len(self.refusals):
            text = ngettext("{count} invitation is on its way.", "{count} invitations are on their way.", sent)
            messages.success(self.request, text.format(count=sent))
        if self.refusals:
            return self._show_refused(str(body["role"]))
        return self.go_to(self.here)

    def _refusal(self, email: str, role: str) -> str:
        """Invite one address; return the sentence of what was refused, empty if it was sent."""
        checked = InvitationBody(data={"email": email, "role": role})
        if not checked.is_valid():
            return refusal_text(Invalid(errors=dict(flatten_errors(checked.errors))))
        try:
            self.enforce_limits(*invitation_mail_limits(email))
            invitations.invite(self.actor, **checked.validated_data)
        except DomainError as refusal:
            return refusal_text(refusal)
        return ""

    def _show_refused(self, role: str) -> HttpResponse:
        """The form with the addresses that were refused; those that were sent are gone from it."""
        emails = "\n".join(email for email, _sentence in self.refusals)
        form = Form(self.form, {"emails": emails, "role": role})
        text = ngettext("This address was not invited.", "These addresses were not invited.", len(self.refusals))
        form.errors["emails"] = [text]
        return self.show(form, status=422)


class InvitationPage(TeamPage):
    """The buttons of one invitation: send it again, withdraw it."""

    here = "team-invitations-page"
    post_permission = Permission.MANAGE_INVITATIONS

    def get(self, request: Any, **place: str) -> HttpResponseBase:
        return self.go_to(self.here)

    def post(self, request: Any, **place: str) -> HttpResponse:
        invitation = self._open_invitation(place["invitation_id"])
        try:
            self._act_on(invitation)
        except NotFound:  # accepted or withdrawn meanwhile: say which
            self._open_invitation(invitation.pk)
            raise
        return self.go_to(self.here)

    def _act_on(self, invitation: Invitation) -> None:
        if self.request.POST.get("do") == "resend":
            self.enforce_limits(*invitation_mail_limits(invitation.email))
            invitations.resend_invitation(self.actor, invitation)
            text = gettext("The invitation is on its way to {email} again. The earlier link no longer works.")
        else:
            invitations.revoke_invitation(self.actor, invitation)
            text = gettext("The invitation of {email} is withdrawn.")
        messages.success(self.request, text.format(email=invitation.email))

    def _open_invitation(self, invitation_id: str) -> Invitation:
        """It may have been accepted or withdrawn since the list was shown."""
        rows = Invitation.objects.visible_to(self.known.user).filter(team=self.actor.team)
        invitation = rows.filter(pk=invitation_id).first()
        if invitation is None:
            raise NotFound
        if invitation.accepted_at:
            raise InvitationUsed
        if invitation.revoked_at:
            raise InvitationRevoked
        return invitation

    def refused(self, refusal: DomainError) -> HttpResponse:
        """A refusal of a button stands above the list."""
        if self.request.method != "POST" or isinstance(refusal, NotFound) or not hasattr(self, "actor"):
            return super().refused(refusal)
        messages.error(self.request, refusal_text(refusal))
        return self.go_to(self.here)
