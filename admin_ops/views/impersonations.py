"""Acting in a customer's name, from the desk's side."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import representations as show
from admin_ops.serializers import impersonations as shapes
from admin_ops.views.base import AdminApiView, UserApiView
from saas.accounts.models import Impersonation, User
from saas.accounts.reauthentication import ReauthRequired
from saas.accounts.staff import impersonations
from saas.accounts.staff.impersonations import CannotImpersonateStaff, ImpersonationDisabled
from saas.accounts.staff.staff_administration import AccountNotActive
from saas.accounts.staff.staff_roles import Permission
from saas.api import rate_limits
from saas.api.openapi.schema_generation import problem_responses
from saas.api.pagination import PageQuery, paginate
from saas.errors import DomainError, NotFound


class ImpersonateView(UserApiView):
    """A token for Product and Parity that reads as this customer. It cannot be renewed, and carries who acts."""

    limits = (rate_limits.IMPERSONATION,)

    @extend_schema(
        operation_id="staff_impersonate",
        summary="Act in a customer's name",
        request=shapes.ImpersonateBody,
        responses={
            201: shapes.StartedShape,
            **problem_responses(CannotImpersonateStaff, ImpersonationDisabled, ReauthRequired, AccountNotActive),
        },
        tags=["impersonation"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        try:
            row, token = self._start(person)
        except DomainError as refusal:
            impersonations.record_refusal(person, by=self.user, code=refusal.code)
            raise
        return Response(show.started(row, token), status=201)

    def _start(self, person: User) -> tuple[Impersonation, str]:
        self.require(Permission.IMPERSONATE)
        wish = impersonations.ImpersonationRequest(**self.body(shapes.ImpersonateBody))
        if wish.write:
            self.require(Permission.IMPERSONATE_WRITE)
        return impersonations.impersonate(person, by=self.session, wish=wish)


class ImpersonationsView(AdminApiView):
    needs = Permission.READ_USERS

    @extend_schema(
        operation_id="staff_impersonations",
        summary="List the impersonations",
        parameters=[PageQuery],
        responses=shapes.ImpersonationsShape,
        tags=["impersonation"],
    )
    def get(self, request: Request) -> Response:
        page = paginate(Impersonation.objects.listed(), **self.query(PageQuery))
        return Response({"impersonations": [show.impersonation(row) for row in page.items], **page.meta})


class ImpersonationView(AdminApiView):
    """One's own, or for an admin anybody's."""

    needs = Permission.READ_USERS

    @extend_schema(
        operation_id="staff_impersonation_end",
        summary="End an impersonation",
        responses={204: None},
        tags=["impersonation"],
    )
    def delete(self, request: Request, impersonation_id: str) -> Response:
        row = Impersonation.objects.listed().filter(pk=impersonation_id).first()
        if row is None:
            raise NotFound
        if row.staff_session.user_id != self.user.id:
            self.require(Permission.MANAGE_STAFF)
        impersonations.end_impersonation(row, by=self.user)
        return Response(status=204)
