"""Who pays what, as the provider tells it."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import representations as show
from admin_ops.serializers import billing as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import Permission
from saas.api.pagination import paginate
from saas.billing.models import Subscription


class SubscriptionsView(AdminApiView):
    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_subscriptions",
        summary="List the subscriptions",
        parameters=[shapes.SubscriptionsQuery],
        responses=shapes.SubscriptionsShape,
        tags=["billing"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.SubscriptionsQuery)
        rows = Subscription.objects.with_customer().matching(status=query["status"], plan=query["plan"])
        page = paginate(rows, cursor=query["cursor"], limit=query["limit"])
        return Response({"subscriptions": [show.subscription(row) for row in page.items], **page.meta})
