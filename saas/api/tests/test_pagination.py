"""Pages of a list: where they end, what is counted, and whose cursor is whose."""

import pytest
from rest_framework.exceptions import ValidationError

from saas.accounts.models import User
from saas.api import pagination
from saas.api.pagination import PageQuery, paginate
from saas.audit.actions import record
from saas.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def events(number: int) -> list[int]:
    for _ in range(number):
        record("demo.done")
    return list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))


def read(*, limit: int, cursor: str | None = None) -> tuple[list[int], str | None]:
    page = paginate(AuditEvent.objects.all(), cursor=cursor or "", limit=limit)
    return [row.pk for row in page.items], page.next


def test_a_list_that_just_fills_its_pages_has_no_empty_last_one() -> None:
    newest, *others = events(4)

    first, cursor = read(limit=2)
    second, end = read(limit=2, cursor=cursor)

    assert (first, second, end) == ([newest, others[0]], others[1:], None)
    assert read(limit=4) == ([newest, *others], None)


@pytest.mark.parametrize(
    ("rows", "told"), [(2, {"count": 2}), (3, {"count": 3}), (4, {"count": 3, "count_is_exact": False})]
)
def test_a_count_is_exact_to_a_bound_and_says_so_beyond(monkeypatch, rows: int, told: dict[str, object]) -> None:
    monkeypatch.setattr(pagination, "MAX_EXACT_COUNT", 3)
    events(rows)

    assert paginate(AuditEvent.objects.all(), cursor="", limit=9).meta == {"next": None, **told}


def test_a_cursor_of_one_list_is_refused_by_another() -> None:
    events(2)
    _, cursor = read(limit=1)

    with pytest.raises(ValidationError, match="This is not a cursor of this list"):
        paginate(User.objects.all(), cursor=cursor or "", limit=1)


@pytest.mark.parametrize(("asked", "given"), [("0", None), ("1", 1), ("99", 99), ("100", 100), ("101", 100)])
def test_a_page_holds_one_to_a_hundred_rows(asked: str, given: int | None) -> None:
    query = PageQuery(data={"limit": asked})

    assert query.is_valid() is (given is not None)
    assert query.validated_data.get("limit") == given
