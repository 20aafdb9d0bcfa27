"""Audit events: filters, list, verification."""

from typing import Any

from rest_framework import serializers

from saas.api.fields import QueryTimeField, StrictCharField
from saas.api.pagination import PageQuery, PageShape
from saas.api.representation import represent
from saas.audit.verification import VerificationResult

ID_LENGTH = 64


class AuditFilter(serializers.Serializer[Any]):
    actor = StrictCharField(max_length=ID_LENGTH, required=False, default="", allow_blank=True)
    action = StrictCharField(
        max_length=ID_LENGTH, required=False, default="", allow_blank=True, help_text="`user.banned`, `user.*`"
    )
    target = StrictCharField(max_length=ID_LENGTH, required=False, default="", allow_blank=True)
    act_as = StrictCharField(
        max_length=ID_LENGTH, required=False, default="", allow_blank=True, help_text="In whose name it was done."
    )
    request_id = StrictCharField(max_length=ID_LENGTH, required=False, default="", allow_blank=True)
    since = QueryTimeField(required=False, default=None)
    until = QueryTimeField(required=False, default=None, help_text="Up to, and without.")


class AuditQuery(PageQuery, AuditFilter):
    pass


class AuditExportQuery(AuditFilter):
    format = serializers.ChoiceField(["csv", "jsonl"], default="csv")


class AuditEventShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    act_as = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField()
    reason = serializers.CharField()
    address = serializers.CharField()
    request_id = serializers.CharField()
    details = serializers.DictField(source="data")


class AuditShape(PageShape):
    events = AuditEventShape(many=True)


class VerdictShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "broken"])
    verified = serializers.IntegerField(help_text="How many of the newest links were looked at.")
    waiting = serializers.IntegerField(help_text="Events that are not sealed yet.")
    head = serializers.CharField(allow_null=True, help_text="`number:digest` of the newest link: keep it as an anchor.")
    faults = serializers.ListField(child=serializers.CharField())


def represent_verdict(result: VerificationResult) -> dict[str, Any]:
    status = "broken" if result.faults else "ok"
    return represent(VerdictShape, result, status=status, head=str(result.head) if result.head else None)
