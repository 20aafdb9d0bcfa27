"""Metrics of users, revenue and webhooks, and the health of this service for staff.

The public endpoint is ``/health``.
"""

import time
from dataclasses import asdict

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import queries
from admin_ops.revenue import revenue_metrics
from admin_ops.serializers import metrics as shapes
from admin_ops.serializers.staff import StaffHealthShape
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import Permission
from saas.api.health import STARTED
from saas.audit.models import AuditEvent
from saas.billing import clock
from saas.webhook_events.monitoring.statistics import inbox_statistics


class UserMetricsView(AdminApiView):
    needs = Permission.READ_METRICS

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
    needs = Permission.READ_METRICS

    @extend_schema(
        operation_id="staff_metrics_revenue",
        summary="Figures about revenue",
        parameters=[shapes.RevenueQuery],
        responses=shapes.RevenueShape,
        tags=["metrics"],
    )
    def get(self, request: Request) -> Response:
        return Response(revenue_metrics(clock.now(), **self.query(shapes.RevenueQuery)))


class WebhookMetricsView(AdminApiView):
    needs = Permission.READ_METRICS

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
