"""The audit trail: list, verify, export."""

from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import audit_export
from admin_ops.serializers import audit as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.pagination import paginate
from saas.api.representation import represent_all
from saas.audit.actions import record
from saas.audit.models import AuditEvent
from saas.audit.verification import verify_recent

LINKS_VERIFIED = 5000  # as many as fit into an answer's time


class AuditView(AdminApiView):
    needs = StaffPermission.READ_AUDIT
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_audit",
        summary="List audit events",
        parameters=[shapes.AuditQuery],
        responses=shapes.AuditShape,
        tags=["audit"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.AuditQuery)
        cursor, limit = query.pop("cursor"), query.pop("limit")
        page = paginate(AuditEvent.objects.matching(**query), cursor=cursor, limit=limit)
        return Response({"events": represent_all(shapes.AuditEventShape, page.items), **page.meta})


class AuditVerifyView(AdminApiView):
    """Whether the last links of the chain are as they were written. ``manage.py audit_verify`` walks all of it."""

    needs = StaffPermission.READ_AUDIT

    @extend_schema(
        operation_id="staff_audit_verify",
        summary="Verify the audit chain",
        responses=shapes.VerdictShape,
        tags=["audit"],
    )
    def get(self, request: Request) -> Response:
        return Response(shapes.represent_verdict(verify_recent(LINKS_VERIFIED)))


class AuditExportView(AdminApiView):
    """The same, whole, oldest first, as a file. That it was taken along is in the trail, too."""

    needs = StaffPermission.READ_AUDIT
    renderer_classes = audit_export.RENDERERS

    @extend_schema(
        operation_id="staff_audit_export",
        summary="Export audit events",
        parameters=[shapes.AuditExportQuery],
        responses={(200, "text/csv"): OpenApiResponse(str), (200, "application/jsonl"): OpenApiResponse(str)},
        tags=["audit"],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        query = self.query(shapes.AuditExportQuery)
        kind = audit_export.EXPORT_FORMATS[query.pop("format")]
        rows = AuditEvent.objects.matching(**query)
        record("audit.exported", actor=self.user.id, format=kind.name)
        return kind.stream(rows)
