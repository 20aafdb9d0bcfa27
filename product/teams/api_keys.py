"""The keys by which programs act for a team. Only people manage them."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from product.teams import serializers as shapes
from product.teams.views import TeamView, get_or_404
from saas.accounts.email_verification import EmailNotVerified
from saas.accounts.passwords.hashing_pool import HashingBusy
from saas.accounts.passwords.login_throttle import TooManyAttempts
from saas.accounts.reauthentication import ReauthRequired, require_recent_login
from saas.api.openapi.schema_generation import problem_responses
from saas.api.pagination import PageQuery, paginate
from saas.api.representation import represent, represent_all
from saas.errors import Forbidden
from saas.teams import api_keys
from saas.teams.models import ApiKey
from saas.teams.plan_limits import ApiKeyLimitReached
from saas.teams.roles import Permission


class ApiKeysView(TeamView):
    """A key outlives the session that makes it: making one needs a login of the last minutes or the password, and is told
    by mail to who made it and to who answers for the team."""

    @extend_schema(
        operation_id="api_keys",
        summary="List the API keys",
        parameters=[PageQuery],
        responses={200: shapes.ApiKeysShape, **problem_responses(Forbidden)},
        tags=["api keys"],
    )
    def get(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.VIEW_API_KEYS)
        rows = ApiKey.objects.visible_to(self.user).current().filter(team=actor.team).select_related("created_by")
        page = paginate(rows, **self.query(PageQuery))
        return Response({"api_keys": represent_all(shapes.ApiKeyShape, page.items), **page.meta})

    @extend_schema(
        operation_id="api_key_create",
        summary="Create an API key",
        request=shapes.ApiKeyBody,
        responses={
            201: shapes.NewApiKeyShape,
            **problem_responses(EmailNotVerified, ReauthRequired, ApiKeyLimitReached, TooManyAttempts, HashingBusy),
        },
        tags=["api keys"],
    )
    def post(self, request: Request, team_id: str) -> Response:
        actor = self.actor(team_id)
        actor.require(Permission.MANAGE_API_KEYS)
        api_keys.require_verified_email(actor)
        body = self.body(shapes.ApiKeyBody)
        require_recent_login(self.session, current_password=body.pop("current_password"))
        key, raw = api_keys.create_api_key(actor, **body)
        return Response({"api_key": represent(shapes.ApiKeyShape, key), "secret": raw}, status=201)


class ApiKeyView(TeamView):
    @extend_schema(operation_id="api_key_revoke", summary="Revoke an API key", responses={204: None}, tags=["api keys"])
    def delete(self, request: Request, team_id: str, key_id: str) -> Response:
        actor = self.actor(team_id)
        key = get_or_404(ApiKey.objects.visible_to(self.user).current().filter(team=actor.team), pk=key_id)
        actor.require(Permission.MANAGE_API_KEYS)
        api_keys.revoke_api_key(actor, key)
        return Response(status=204)
