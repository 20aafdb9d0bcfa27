"""Finding users, and the one page about each."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.customer_page import customer_page
from admin_ops.queries import search_users
from admin_ops.serializers import users as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.pagination import paginate
from saas.api.representation import represent_all
from saas.errors import NotFound


class UsersView(AdminApiView):
    needs = StaffPermission.READ_USERS
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_users",
        summary="Find people",
        parameters=[shapes.UsersQuery],
        responses=shapes.UsersShape,
        tags=["users"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.UsersQuery)
        cursor, limit = query.pop("cursor"), query.pop("limit")
        page = paginate(search_users(**query), cursor=cursor, limit=limit)
        return Response({"users": represent_all(shapes.StaffUserShape, page.items), **page.meta})


class UserView(AdminApiView):
    needs = StaffPermission.READ_USERS

    @extend_schema(
        operation_id="staff_user", summary="Everything about a person", responses=shapes.PersonShape, tags=["users"]
    )
    def get(self, request: Request, user_id: str) -> Response:
        if user := User.objects.filter(pk=user_id).first():
            return Response(customer_page(user))
        raise NotFound
