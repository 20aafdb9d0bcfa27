"""The list of alarms, and how many there are of each kind."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from admin_ops.admin.permissions import request_permissions
from admin_ops.alarms import alarm_notices
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing.alarms import LONGEST_LIST, AlarmKind, count_alarms, open_alarms


@dataclass(frozen=True)
class AlarmCount:
    """``link`` leads to the alarms that are counted."""

    kind: AlarmKind
    count: int
    link: str


def alarm_counts() -> list[AlarmCount]:
    page = reverse("admin:alarms")
    return [
        AlarmCount(AlarmKind(kind), count, f"{page}?kind={AlarmKind(kind).value}")
        for kind, count in count_alarms().items()
    ]


def alarms_page(request: HttpRequest, site_context: dict[str, object]) -> HttpResponse:
    permissions = request_permissions(request)
    if StaffPermission.READ_BILLING not in permissions:
        raise PermissionDenied
    wanted = request.GET.get("kind", "")
    kind = AlarmKind(wanted) if wanted in AlarmKind.values else None
    counts = alarm_counts()
    context = {
        **site_context,
        "title": "Alarms",
        "counts": counts,
        "total": sum(count.count for count in counts),
        "kind": kind,
        "notices": alarm_notices(open_alarms(kind), permissions, back=request.get_full_path()),
        "longest": LONGEST_LIST,
    }
    return TemplateResponse(request, "admin_ops/alarms.html", context)
