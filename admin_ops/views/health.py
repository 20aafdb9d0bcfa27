"""The state of this service, for staff; the public endpoint is ``/health``."""

import time

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.serializers import staff as shapes
from admin_ops.views.base import AdminApiView
from saas.api.health import STARTED
from saas.audit.models import AuditEvent


class StaffHealthView(AdminApiView):
    @extend_schema(
        operation_id="staff_health",
        summary="How the service is doing",
        responses=shapes.StaffHealthShape,
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
