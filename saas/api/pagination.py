"""Cursor pagination, newest first: the cursor is the last id of the page before, signed."""

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from saas.api.fields import QueryIntegerField, StrictCharField

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
MAX_EXACT_COUNT = 10_000


class PageSize(QueryIntegerField):
    """At least 1; more than ``MAX_LIMIT`` counts as ``MAX_LIMIT``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, **options)

    def to_internal_value(self, data: Any) -> int:
        return min(super().to_internal_value(data), MAX_LIMIT)


class PageQuery(serializers.Serializer[Any]):
    """The query parameters of every list. A list with filters subclasses it."""

    cursor = StrictCharField(max_length=500, required=False, default="", allow_blank=True)
    limit = PageSize(default=DEFAULT_LIMIT, help_text=f"Most items of a page; a page holds {MAX_LIMIT}.")


class PageShape(serializers.Serializer[Any]):
    """What stands beside the items of every list. A list's shape subclasses it."""

    count = serializers.IntegerField(help_text="Exact to 10,000.")
    next = serializers.CharField(allow_null=True, help_text="The cursor of the next page.")
    count_is_exact = serializers.BooleanField(required=False, help_text="Present only when it is false.")


@dataclass(frozen=True)
class ListPage:
    """``count`` is exact to ``MAX_EXACT_COUNT``; ``next`` is the cursor of the next page, or None on the last one."""

    items: list[Any]
    count: int
    next: str | None

    @property
    def meta(self) -> dict[str, Any]:
        """The fields next to the items."""
        exact = {} if self.count <= MAX_EXACT_COUNT else {"count_is_exact": False}
        return {"count": min(self.count, MAX_EXACT_COUNT), "next": self.next, **exact}


def paginate(rows: QuerySet[Any], *, cursor: str, limit: int, key: str = "pk") -> ListPage:
    """Return one page of ``rows`` in descending order of ``key``, which is unique and grows. 422 for an unknown cursor."""
    salt = f"saas.api.pagination.{rows.model._meta.label}"
    count = rows.order_by()[: MAX_EXACT_COUNT + 1].count()
    if cursor:
        try:
            rows = rows.filter(**{f"{key}__lt": signing.loads(cursor, salt=salt)})
        except signing.BadSignature as error:
            raise ValidationError({"cursor": ["This is not a cursor of this list."]}) from error
    items = list(rows.order_by(f"-{key}")[: limit + 1])
    more = len(items) > limit
    return ListPage(items[:limit], count, signing.dumps(getattr(items[limit - 1], key), salt=salt) if more else None)
