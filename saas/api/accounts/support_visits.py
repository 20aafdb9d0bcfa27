"""Show a customer when, why and how often support acted in their name (impersonations)."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts.models import Impersonation
from saas.api.pagination import PageQuery, PageShape, paginate
from saas.api.representation import represent
from saas.api.views import CustomerView
from saas.audit.models import AuditEvent


class VisitShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    reason = serializers.CharField()
    could_write = serializers.BooleanField(source="may_write")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(help_text="Or when it ends by itself.")
    requests = serializers.IntegerField(help_text="How many were made in your name.")


class VisitsShape(PageShape):
    visits = VisitShape(many=True)


class SupportVisitsView(CustomerView):
    @extend_schema(
        operation_id="support_visits",
        summary="When support acted in my name",
        parameters=[PageQuery],
        responses=VisitsShape,
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        page = paginate(Impersonation.objects.of_customer(self.user), **self.query(PageQuery))
        counts = AuditEvent.objects.count_impersonated_requests([row.pk for row in page.items], act_as=self.user.pk)
        visits = [
            represent(VisitShape, row, ended_at=row.over_at(), requests=counts.get(row.pk, 0)) for row in page.items
        ]
        return Response({"visits": visits, **page.meta})
