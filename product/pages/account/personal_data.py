"""Take one's data along, and delete the account."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.serializers import Serializer

from product.pages.account.base import SectionFormPage, SectionPage
from saas.accounts.privacy import account_deletion
from saas.accounts.sessions.session_store import SessionStore
from saas.api import rate_limits
from saas.api.pages.forms import FormSpec
from saas.api.pages.rendering import render_page


class _ConfirmedBody(Serializer[Any]):
    """Nothing is asked but the password."""


class DataPage(SectionPage):
    here = "account-data"
    template = "product/pages/account/data.html"


class DeletePage(SectionFormPage):
    here = "account-data"
    template = "product/pages/account/delete.html"
    limits = (rate_limits.LOGIN,)
    form = FormSpec(_ConfirmedBody)

    def context(self) -> dict[str, Any]:
        return {**super().context(), "due_at": timezone.now() + account_deletion.GRACE_PERIOD}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        self.require_recent_login()
        deletion, token = account_deletion.delete_account(self.known.user)
        self.request.session = SessionStore()
        user = self.known.user
        shown = {"due_at": deletion.due_at, "email": user.email, "token": token}
        with timezone.override(user.time_zone):
            return render_page(self.request, "product/pages/account/deleted.html", shown)
