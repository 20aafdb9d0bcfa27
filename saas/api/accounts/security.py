"""Change and reset the password, verify and change the e-mail address, reauthenticate."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts import email_verification, reauthentication
from saas.accounts.email_addresses import InvalidAddress, canonical_email
from saas.accounts.one_time_tokens import OneTimeTokenInvalid
from saas.accounts.passwords import password_change
from saas.accounts.passwords.hashing_pool import HashingBusy
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.api import rate_limits
from saas.api.accounts import device_cookie
from saas.api.accounts.serializers import LoginShape
from saas.api.accounts.views import login_response
from saas.api.fields import StrictCharField
from saas.api.openapi.schema_generation import problem_responses
from saas.api.representation import represent
from saas.api.views import CustomerView, PublicView
from saas.billing.personal_data import StillSubscribed
from saas.teams.actions import TeamSubscribed


class ReauthenticateBody(serializers.Serializer[Any]):
    current_password = StrictCharField(max_length=4096, trim_whitespace=False)


class CurrentPasswordBody(serializers.Serializer[Any]):
    """``current_password`` may be left out where the login is not older than five minutes."""

    current_password = StrictCharField(
        max_length=4096, required=False, default="", allow_blank=True, trim_whitespace=False
    )


class ChangePasswordBody(CurrentPasswordBody):
    new_password = StrictCharField(max_length=200, trim_whitespace=False)


class ForgotBody(serializers.Serializer[Any]):
    email = StrictCharField(max_length=254)


class ResetBody(serializers.Serializer[Any]):
    token = StrictCharField(max_length=200)
    new_password = StrictCharField(max_length=200, trim_whitespace=False)


class TokenBody(serializers.Serializer[Any]):
    token = StrictCharField(max_length=200)


class ChangeEmailBody(CurrentPasswordBody):
    new_email = StrictCharField(max_length=254)


class DoneShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["accepted", "password_set", "verified"])


@extend_schema_serializer(component_name="ClaimedAccount")
class PreviewedAccountShape(serializers.Serializer[Any]):
    full_name = serializers.CharField(help_text="Empty where it holds a link or is long: a stranger may have typed it.")
    email = serializers.CharField(help_text="Masked for a change of address: `k…@example.org`.")
    registered_at = serializers.DateTimeField()


@extend_schema_serializer(component_name="Claim")
class VerificationPreviewShape(serializers.Serializer[Any]):
    purpose = serializers.ChoiceField(["verify", "change"])
    email = serializers.CharField(help_text="The address that would be confirmed.")
    account = PreviewedAccountShape()


@extend_schema_serializer(component_name="Disowned")
class ReportUnrecognizedShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["removed", "called_off"])


class ReauthenticateView(CustomerView):
    """Proves the password again; for five minutes nothing asks for it. After five wrong ones each makes this session wait."""

    limits = (rate_limits.LOGIN,)

    @extend_schema(
        operation_id="reauthenticate",
        summary="Prove the password again",
        request=ReauthenticateBody,
        responses={204: None, **problem_responses(TooManyAttempts, HashingBusy)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        reauthentication.confirm_password(self.session, self.body(ReauthenticateBody)["current_password"])
        return Response(status=204)


class ChangePasswordView(CustomerView):
    """Sets a new password and answers with a fresh login: every other session, token and cookie has ended."""

    limits = (rate_limits.LOGIN, rate_limits.CREDENTIAL_CHANGES)

    @extend_schema(
        operation_id="password_change",
        summary="Change the password",
        request=ChangePasswordBody,
        responses={200: LoginShape, **problem_responses(ReauthRequired, TooManyAttempts, HashingBusy)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(ChangePasswordBody)
        require_recent_login(self.session, current_password=body["current_password"])
        login = password_change.change_password(self.session, new_password=body["new_password"])
        return login_response(request, login, status=200)


class ForgotPasswordView(PublicView):
    """Always 202: only the mailbox learns whether there is an account."""

    limits = (rate_limits.PASSWORD_FORGOT,)

    @extend_schema(
        operation_id="password_forgot",
        summary="Ask for a password reset",
        request=ForgotBody,
        responses={202: DoneShape, **problem_responses(InvalidAddress)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        email = canonical_email(self.body(ForgotBody)["email"])
        self.enforce_limits(rate_limits.password_forgot_account_limit(email))
        password_change.request_password_reset(email)
        return Response({"status": "accepted"}, status=202)


class ResetPasswordView(PublicView):
    """Sets a new password by the token of the mail. It logs no one in.

    This device is known afterwards: guesses from elsewhere cannot lock it out.
    """

    limits = (rate_limits.MAILED_LINK,)

    @extend_schema(
        operation_id="password_reset",
        summary="Reset the password",
        request=ResetBody,
        responses={200: DoneShape, **problem_responses(OneTimeTokenInvalid, HashingBusy)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(ResetBody)
        self.enforce_limits(rate_limits.mailed_link_token_limit(body["token"]))
        user = password_change.reset_password(body["token"], new_password=body["new_password"])
        device_cookie.remember_device(request._request, user)
        return Response({"status": "password_set"})


class VerifyEmailView(PublicView):
    """Uses the token of the mail, be it for the first address or for a new one."""

    limits = (rate_limits.MAILED_LINK,)

    @extend_schema(
        operation_id="email_verify",
        summary="Verify an e-mail address",
        request=TokenBody,
        responses={200: DoneShape, **problem_responses(OneTimeTokenInvalid)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(TokenBody)["token"]
        self.enforce_limits(rate_limits.mailed_link_token_limit(token))
        email_verification.verify_email(token)
        return Response({"status": "verified"})


class PreviewVerificationView(PublicView):
    """Shows whose account the token of the mail would confirm, so that no one confirms a stranger's. Changes nothing."""

    limits = (rate_limits.MAILED_LINK,)

    @extend_schema(
        operation_id="email_verify_preview",
        summary="Whose account would be verified",
        request=TokenBody,
        responses={200: VerificationPreviewShape, **problem_responses(OneTimeTokenInvalid)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(TokenBody)["token"]
        self.enforce_limits(rate_limits.mailed_link_token_limit(token))
        return Response(represent(VerificationPreviewShape, email_verification.preview_verification(token)))


class ReportUnrecognizedView(PublicView):
    """ "This was not me": removes the account that was registered with the address and never confirmed, or calls off the
    change of another account's address to this one."""

    limits = (rate_limits.MAILED_LINK,)

    @extend_schema(
        operation_id="email_disown",
        summary="Report an unrecognized request",
        request=TokenBody,
        responses={
            200: ReportUnrecognizedShape,
            **problem_responses(OneTimeTokenInvalid, StillSubscribed, TeamSubscribed),
        },
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(TokenBody)["token"]
        self.enforce_limits(rate_limits.mailed_link_token_limit(token))
        is_removed = email_verification.report_unrecognized(token)
        return Response({"status": "removed" if is_removed else "called_off"})


class ResendVerificationView(CustomerView):
    limits = (rate_limits.MAIL_AGAIN,)

    @extend_schema(
        operation_id="email_resend",
        summary="Mail the verification link again",
        request=None,
        responses={202: DoneShape},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        email_verification.send_verification(self.user)
        return Response({"status": "accepted"}, status=202)


class ChangeEmailView(CustomerView):
    """Mails a link to the new address. Always 202: the answer does not reveal whether it belongs to another account."""

    @extend_schema(
        operation_id="email_change",
        summary="Change the e-mail address",
        request=ChangeEmailBody,
        responses={202: DoneShape, **problem_responses(ReauthRequired, InvalidAddress, TooManyAttempts)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(ChangeEmailBody)
        address_limit = rate_limits.email_change_address_limit(canonical_email(body["new_email"]))
        require_recent_login(self.session, current_password=body["current_password"])
        self.enforce_limits(rate_limits.MAIL_AGAIN, address_limit)  # of mails: a refused password sends none
        email_verification.request_email_change(self.user, new_email=body["new_email"])
        return Response({"status": "accepted"}, status=202)
