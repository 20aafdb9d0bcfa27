"""What a customer sees of support having acted in her name: when, why, and how often."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas.accounts.models import Impersonation
from saas.api.pagination import PageQuery, PageShape, paginate
from saas.api.views import CustomerView
from saas.audit.models import AuditEvent


class VisitShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    reason = serializers.CharField()
    could_write = serializers.BooleanField()
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
        counts = AuditEvent.objects.requests_behind([row.pk for row in page.items], act_as=self.user.pk)
        return Response({"visits": [_visit(row, counts.get(row.pk, 0)) for row in page.items], **page.meta})


def _visit(row: Impersonation, requests: int) -> dict[str, Any]:
    return {
        "id": row.pk,
        "reason": row.reason,
        "could_write": row.may_write,
        "started_at": row.started_at,
        "ended_at": row.ended_at or row.ends_at,
        "requests": requests,
    }
