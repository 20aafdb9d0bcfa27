"""Impersonations, listed. Starting and ending one are staff actions."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.serializers import impersonations as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.models import Impersonation
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.pagination import PageQuery, paginate


class ImpersonationsView(AdminApiView):
    needs = StaffPermission.READ_USERS
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_impersonations",
        summary="List the impersonations",
        parameters=[PageQuery],
        responses=shapes.ImpersonationsShape,
        tags=["impersonation"],
    )
    def get(self, request: Request) -> Response:
        page = paginate(Impersonation.objects.listed(), **self.query(PageQuery))
        return Response({"impersonations": [shapes.represent_impersonation(row) for row in page.items], **page.meta})
