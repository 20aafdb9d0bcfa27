"""Metrics of users, revenue and webhooks, and the health of this service for staff.

The public endpoint is ``/health``.
"""

import time
from dataclasses import asdict

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import queries
from admin_ops.revenue import revenue_metrics
from admin_ops.revenue_export import export_lines
from admin_ops.serializers import metrics as shapes
from admin_ops.serializers.staff import StaffHealthShape
from admin_ops.streamed_files import CsvRenderer, file_response
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.health import STARTED
from saas.audit.actions import record
from saas.audit.models import AuditEvent
from saas.billing import clock
from saas.webhook_events.monitoring.statistics import inbox_statistics


class UserMetricsView(AdminApiView):
    needs = StaffPermission.READ_METRICS
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_metrics_users",
        summary="Figures about people",
        responses=shapes.UserMetricsShape,
        tags=["metrics"],
    )
    def get(self, request: Request) -> Response:
        now = timezone.now()
        counts = {**queries.customer_counts(now), **queries.active_customer_counts(now)}
        return Response({**counts, "signups_by_day": queries.signups_by_day(now)})


class RevenueMetricsView(AdminApiView):
    needs = StaffPermission.READ_METRICS
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_metrics_revenue",
        summary="Figures about revenue",
        parameters=[shapes.RevenueQuery],
        responses=shapes.RevenueShape,
        tags=["metrics"],
    )
    def get(self, request: Request) -> Response:
        return Response(revenue_metrics(clock.now(), **self.query(shapes.RevenueQuery)))


class RevenueExportView(AdminApiView):
    """Revenue by customer and month. That it was taken along is in the trail, too."""

    needs = StaffPermission.READ_METRICS
    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        operation_id="staff_metrics_revenue_export",
        summary="Export revenue by customer and month",
        parameters=[shapes.RevenueExportQuery],
        responses={(200, "text/csv"): OpenApiResponse(str)},
        tags=["metrics"],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        currency = self.query(shapes.RevenueExportQuery)["currency"].lower()
        record("revenue.exported", actor=self.user.id, currency=currency)
        return file_response(export_lines(clock.now(), currency), name="revenue.csv", media_type="text/csv")


class WebhookMetricsView(AdminApiView):
    needs = StaffPermission.READ_METRICS
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_metrics_webhooks",
        summary="Figures about webhooks",
        responses=shapes.WebhookMetricsShape,
        tags=["metrics"],
    )
    def get(self, request: Request) -> Response:
        figures = inbox_statistics()
        return Response({**asdict(figures), "counts_are_exact": figures.counts_are_exact})


class StaffHealthView(AdminApiView):
    @extend_schema(
        operation_id="staff_health",
        summary="How the service is doing",
        responses=StaffHealthShape,
        tags=["health"],
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                "status": "ok",
                "service": settings.SERVICE,
                "uptime": round(time.monotonic() - STARTED, 3),
                "audit_events": AuditEvent.objects.count(),
            }
        )
