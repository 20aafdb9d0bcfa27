"""The password of a login that is not recent, asked for before the form that needs one."""

from dataclasses import dataclass

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminPasswordWidget

from admin_ops.admin.permissions import staff_session
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.errors import DomainError

PASSWORD_FIELD = "current_password"


class ConfirmPasswordForm(forms.Form):
    current_password = forms.CharField(
        label="Your password",
        max_length=4096,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


@dataclass(frozen=True)
class PasswordStep:
    """What is to be shown instead of the page. ``refusal`` is that of a submitted form."""

    form: ConfirmPasswordForm
    refusal: DomainError | None = None


def password_step(request: HttpRequest) -> PasswordStep | None:
    """``None`` with a recent login, or as soon as the password that was sent has renewed it."""
    if (session := staff_session(request)) is None:
        raise PermissionDenied
    is_answer = PASSWORD_FIELD in request.POST
    form = ConfirmPasswordForm(request.POST if is_answer else None)
    if is_answer and not form.is_valid():
        return PasswordStep(form, ReauthRequired())
    try:
        require_recent_login(session, current_password=form.cleaned_data[PASSWORD_FIELD] if is_answer else "")
    except DomainError as refusal:
        if is_answer:
            form.add_error(PASSWORD_FIELD, list(refusal.sentences))
        return PasswordStep(form, refusal if request.method == "POST" else None)
    return None
