"""The second factor over HTTP: set up, confirm, turn off, prove."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts import second_factor
from saas.accounts.models import Audience
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent
from saas.accounts.second_factor import PendingLoginInvalid, SecondFactorOff, SecondFactorOn, WrongCode
from saas.api import rate_limits
from saas.api.accounts import representations as show
from saas.api.accounts.security import CurrentPasswordBody
from saas.api.accounts.serializers import LoginShape, SecondFactorBody
from saas.api.accounts.views import keep_cookie, logged_in
from saas.api.fields import StrictCharField
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.views import CustomerView, PublicView
from saas.errors import Invalid


class ConfirmBody(serializers.Serializer[Any]):
    code = StrictCharField(max_length=20)


class SetupShape(serializers.Serializer[Any]):
    secret = serializers.CharField()
    otpauth_uri = serializers.CharField()
    qr_svg = serializers.CharField()


class CodesShape(serializers.Serializer[Any]):
    recovery_codes = serializers.ListField(child=serializers.CharField(), help_text="Shown this once.")


class ConfirmedShape(LoginShape):
    recovery_codes = serializers.ListField(child=serializers.CharField(), help_text="Shown this once.")


def as_setup(setup: second_factor.Setup) -> dict[str, str]:
    return {"secret": setup.secret, "otpauth_uri": setup.uri, "qr_svg": setup.qr_svg}


class TotpView(CustomerView):
    """Sets up an authenticator, or turns the second factor off. Both need a login of the last minutes or the password."""

    @extend_schema(
        operation_id="mfa_begin",
        summary="Set up an authenticator",
        request=OptionalBody(CurrentPasswordBody),
        responses={200: SetupShape, **problem_responses(ReauthRequired, SecondFactorOn, TooManyAttempts)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        require_recent(self.session, **self.optional_body(CurrentPasswordBody))
        return Response(as_setup(second_factor.begin(self.user)))

    @extend_schema(
        operation_id="mfa_disable",
        summary="Turn the second factor off",
        request=OptionalBody(CurrentPasswordBody),
        responses={200: LoginShape, **problem_responses(ReauthRequired, SecondFactorOff, TooManyAttempts, Invalid)},
        tags=["mfa"],
    )
    def delete(self, request: Request) -> Response:
        require_recent(self.session, **self.optional_body(CurrentPasswordBody))
        return logged_in(request, second_factor.disable(self.session), status=200)


class ConfirmView(CustomerView):
    """Turns the second factor on by its first code; answers with a fresh login and the recovery codes."""

    limits = (rate_limits.MFA,)

    @extend_schema(
        operation_id="mfa_confirm",
        summary="Turn the second factor on",
        request=ConfirmBody,
        responses={200: ConfirmedShape, **problem_responses(SecondFactorOn, SecondFactorOff)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        login, codes = second_factor.confirm(self.session, self.body(ConfirmBody)["code"])
        keep_cookie(request, login)
        return Response({**show.login(login), "recovery_codes": codes})


class RecoveryCodesView(CustomerView):
    @extend_schema(
        operation_id="mfa_recovery_codes",
        summary="Make new recovery codes",
        request=OptionalBody(CurrentPasswordBody),
        responses={200: CodesShape, **problem_responses(ReauthRequired, SecondFactorOff, TooManyAttempts)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        require_recent(self.session, **self.optional_body(CurrentPasswordBody))
        return Response({"recovery_codes": second_factor.renew_recovery_codes(self.user)})


class VerifyView(PublicView):
    """The second half of a login."""

    limits = (rate_limits.MFA,)

    @extend_schema(
        operation_id="mfa_verify",
        summary="Log in: the second factor",
        request=SecondFactorBody,
        responses={200: LoginShape, **problem_responses(WrongCode, PendingLoginInvalid, TooManyAttempts)},
        tags=["mfa"],
    )
    def post(self, request: Request) -> Response:
        login = second_factor.complete(**self.body(SecondFactorBody), audience=Audience.CUSTOMER)
        return logged_in(request, login, status=200)
