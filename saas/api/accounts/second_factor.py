"""The second factor: set up, confirm, turn off, and complete a login with it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts import second_factor
from saas.accounts.models import Audience
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.accounts.second_factor import PendingLoginInvalid, SecondFactorEnabled, SecondFactorNotEnabled, WrongCode
from saas.api import rate_limits
from saas.api.accounts.security import CurrentPasswordBody
from saas.api.accounts.serializers import LoginShape, SecondFactorBody
from saas.api.accounts.views import login_response, set_session_cookie
from saas.api.fields import StrictCharField
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.representation import represent
from saas.api.views import CustomerView, PublicView
from saas.errors import Invalid


class ConfirmBody(serializers.Serializer[Any]):
    code = StrictCharField(max_length=20)


class SecondFactorStatusShape(serializers.Serializer[Any]):
    enabled = serializers.BooleanField(help_text="Whether a login asks for a code.")
    recovery_codes_left = serializers.IntegerField()


class SetupShape(serializers.Serializer[Any]):
    secret = serializers.CharField()
    otpauth_uri = serializers.CharField(source="uri")
    qr_svg = serializers.CharField()


class CodesShape(serializers.Serializer[Any]):
    recovery_codes = serializers.ListField(child=serializers.CharField(), help_text="Shown this once.")


class ConfirmedShape(LoginShape):
    recovery_codes = serializers.ListField(child=serializers.CharField(), help_text="Shown this once.")


class StatusView(CustomerView):
    @extend_schema(
        operation_id="mfa_status", summary="Is a second factor on", responses=SecondFactorStatusShape, tags=["mfa"]
    )
    def get(self, request: Request) -> Response:
        return Response(represent(SecondFactorStatusShape, second_factor.second_factor_status(self.user)))


class TotpView(CustomerView):
    """Sets up an authenticator, or turns the second factor off. Both need a login of the last minutes or the password."""

    limits = (rate_limits.CREDENTIAL_CHANGES,)

    @extend_schema(
        operation_id="mfa_begin",
        summary="Set up an authenticator",
        request=OptionalBody(CurrentPasswordBody),
        responses={200: SetupShape, **problem_responses(ReauthRequired, SecondFactorEnabled, TooManyAttempts)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        require_recent_login(self.session, **self.optional_body(CurrentPasswordBody))
        return Response(represent(SetupShape, second_factor.begin_totp_setup(self.user)))

    @extend_schema(
        operation_id="mfa_disable",
        summary="Turn the second factor off",
        request=OptionalBody(CurrentPasswordBody),
        responses={
            200: LoginShape,
            **problem_responses(ReauthRequired, SecondFactorNotEnabled, TooManyAttempts, Invalid),
        },
        tags=["mfa"],
    )
    def delete(self, request: Request) -> Response:
        require_recent_login(self.session, **self.optional_body(CurrentPasswordBody))
        return login_response(request, second_factor.disable_second_factor(self.session), status=200)


class ConfirmView(CustomerView):
    """Turns the second factor on by its first code; answers with a fresh login and the recovery codes."""

    limits = (rate_limits.MFA, rate_limits.CREDENTIAL_CHANGES)

    @extend_schema(
        operation_id="mfa_confirm",
        summary="Turn the second factor on",
        request=ConfirmBody,
        responses={
            200: ConfirmedShape,
            **problem_responses(SecondFactorEnabled, SecondFactorNotEnabled, TooManyAttempts),
        },
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        login, codes = second_factor.confirm_totp_setup(self.session, self.body(ConfirmBody)["code"])
        set_session_cookie(request, login)
        return Response(represent(ConfirmedShape, login, recovery_codes=codes))


class RecoveryCodesView(CustomerView):
    limits = (rate_limits.CREDENTIAL_CHANGES,)

    @extend_schema(
        operation_id="mfa_recovery_codes",
        summary="Make new recovery codes",
        request=OptionalBody(CurrentPasswordBody),
        responses={200: CodesShape, **problem_responses(ReauthRequired, SecondFactorNotEnabled, TooManyAttempts)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        require_recent_login(self.session, **self.optional_body(CurrentPasswordBody))
        return Response({"recovery_codes": second_factor.renew_recovery_codes(self.user)})


class VerifyView(PublicView):
    """Completes a login by the second factor."""

    limits = (rate_limits.MFA,)

    @extend_schema(
        operation_id="mfa_verify",
        summary="Log in: the second factor",
        request=SecondFactorBody,
        responses={200: LoginShape, **problem_responses(WrongCode, PendingLoginInvalid, TooManyAttempts)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        login = second_factor.complete_login(**self.body(SecondFactorBody), audience=Audience.CUSTOMER)
        return login_response(request, login, status=200)
