"""Export a person's data, delete the account, and cancel the deletion."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts.one_time_tokens import OneTimeTokenInvalid
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.privacy import account_deletion, data_sources
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.api import rate_limits
from saas.api.accounts.security import CurrentPasswordBody, TokenBody
from saas.api.accounts.views import logout_response
from saas.api.impersonation import NotWhileImpersonating
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.representation import represent
from saas.api.views import CustomerView, PublicView
from saas.billing.personal_data import StillSubscribed
from saas.errors import Invalid
from saas.teams.actions import TeamSubscribed
from saas.teams.personal_data import TeamNeedsOwner


class ExportShape(serializers.Serializer[Any]):
    user_id = serializers.CharField()
    exported_at = serializers.DateTimeField()
    personal_data = serializers.DictField(help_text="What each part of the system holds, by its name.")
    kept_after_deletion = serializers.DictField(
        child=serializers.CharField(), help_text="What stays of it when the account is erased, and why."
    )


class DeletionShape(serializers.Serializer[Any]):
    requested_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(
        help_text="Until then the mailed link undoes it; afterwards the data are erased."
    )


class DeletionAcceptedShape(serializers.Serializer[Any]):
    deletion = DeletionShape()


class DeletionCanceledShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["kept"])


class ExportView(CustomerView):
    """Everything that we hold about the person, except secrets and other people's data."""

    limits = (rate_limits.EXPORT,)
    impersonated_reads = False

    @extend_schema(
        operation_id="user_export",
        summary="Everything we hold about me",
        responses={200: ExportShape, **problem_responses(NotWhileImpersonating)},
        tags=["users"],
    )
    def get(self, request: Request) -> Response:
        attachment = f'attachment; filename="{self.user.pk}.json"'
        return Response(data_sources.export_personal_data(self.user), headers={"Content-Disposition": attachment})


class OwnAccountView(CustomerView):
    """Logs the person out everywhere and, after 14 days, erases what we hold about them. Needs a login of the last minutes
    or the password; a subscription has to be canceled, and a team with other members handed over, first."""

    limits = (rate_limits.LOGIN,)

    @extend_schema(
        operation_id="user_delete",
        summary="Delete my account",
        request=OptionalBody(CurrentPasswordBody),
        responses={
            202: DeletionAcceptedShape,
            **problem_responses(
                ReauthRequired, StillSubscribed, TeamSubscribed, TeamNeedsOwner, TooManyAttempts, Invalid
            ),
        },
        tags=["users"],
    )
    def delete(self, request: Request) -> Response:
        require_recent_login(self.session, **self.optional_body(CurrentPasswordBody))
        deletion, _token = account_deletion.delete_account(self.user)
        logout_response(request)
        return Response({"deletion": represent(DeletionShape, deletion)}, status=202)


class CancelDeletionView(PublicView):
    """Cancels the deletion by the token of the mail. It logs no one in."""

    limits = (rate_limits.MAILED_LINK,)

    @extend_schema(
        operation_id="deletion_cancel",
        summary="Keep the account after all",
        request=TokenBody,
        responses={200: DeletionCanceledShape, **problem_responses(OneTimeTokenInvalid)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        token = self.body(TokenBody)["token"]
        self.enforce_limits(rate_limits.mailed_link_token_limit(token))
        account_deletion.cancel_deletion(token)
        return Response({"status": "kept"})
