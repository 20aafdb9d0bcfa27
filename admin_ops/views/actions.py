"""The endpoints of the staff actions, made from their table."""

from collections.abc import Iterable
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.actions.base import ActionContext, Endpoint, StaffAction
from admin_ops.views.base import AdminApiView
from admin_ops.views.billing import TeamOverridesView
from admin_ops.views.teams import TeamMetadataView
from saas.accounts.staff.staff_roles import permissions_of_roles
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.errors import NotFound

# Views that answer GET at the address of an action.
_READS: dict[str, type[AdminApiView]] = {
    "teams/<str:team_id>/metadata": TeamMetadataView,
    "teams/<str:team_id>/overrides": TeamOverridesView,
}


def action_urls(actions: Iterable[StaffAction]) -> list[URLPattern]:
    return [
        path(f"api/admin/{endpoint.path}", action_view(action, endpoint).as_view(), name=endpoint.operation_id)
        for action in actions
        if (endpoint := action.endpoint)
    ]


def action_view(action: StaffAction, endpoint: Endpoint) -> type[AdminApiView]:
    """Look up the row (404), ask for the permission (403), read the body (422), run, represent the result."""

    @extend_schema(
        operation_id=endpoint.operation_id,
        summary=endpoint.summary,
        description=endpoint.description,
        request=OptionalBody(endpoint.body) if endpoint.is_body_optional else endpoint.body,
        responses={endpoint.status: endpoint.response, **problem_responses(*endpoint.refusals)},
        tags=[endpoint.tag],
    )
    def handle(view: AdminApiView, request: Request, **kwargs: str) -> Response:
        row = None if action.creates_a_row else _find_row(action, *kwargs.values())
        context = ActionContext(view.user, view.session, permissions_of_roles(view.roles))
        outcome = action.perform(row, context, lambda: _read_body(view, endpoint), permission=endpoint.permission)
        return Response(endpoint.represent(outcome.result) if endpoint.represent else None, status=endpoint.status)

    base = _READS.get(endpoint.path, AdminApiView)
    name = f"{''.join(part.title() for part in endpoint.operation_id.split('_'))}View"
    fields = {"needs": action.target.view_permission, "limits": action.limits, endpoint.method: handle}
    return type(name, (base,), fields)


def _find_row(action: StaffAction, row_id: str) -> Any:
    row = action.target.find(row_id)
    if row is None:
        raise NotFound(action.target.not_found)
    return row


def _read_body(view: AdminApiView, endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.body is None:
        return {}
    return view.optional_body(endpoint.body) if endpoint.is_body_optional else view.body(endpoint.body)
