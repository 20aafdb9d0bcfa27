"""The facts on a row's page: what people read, and apart from it what only programs call it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.html import strip_tags

TECHNICAL = frozenset(
    {
        "id", "external_id", "subscription_id", "price_id", "product_id", "item_id", "event_id", "issuer", "subject", "sid",
        "request_id", "plan_is_known", "ambiguous", "worker", "conditions", "skipped", "provider",
    }
)  # fmt: skip

NOTHING = ("", "None", "-", "–", "{}", "[]")  # as Django and unfold show it


@dataclass(frozen=True)
class Fact:
    """``value`` is HTML that is safe to show; empty where there is none."""

    label: str
    value: str


@dataclass(frozen=True)
class RecordFacts:
    """The fields that the table lists for a row's page, in its order."""

    admin_form: Any

    @property
    def readable(self) -> list[Fact]:
        return [fact for name, fact in self._fields() if name not in TECHNICAL and fact.value]

    @property
    def technical(self) -> list[Fact]:
        return [fact for name, fact in self._fields() if name in TECHNICAL and fact.value]

    def _fields(self) -> Iterator[tuple[str, Fact]]:
        for fieldset in self.admin_form:
            for line in fieldset:
                for shown in line:
                    value = shown.contents()
                    label = str(shown.field["label"])
                    yield shown.field["name"], Fact(label[:1].upper() + label[1:], "" if _is_nothing(value) else value)


def _is_nothing(html: str) -> bool:
    return strip_tags(str(html)).strip() in NOTHING and "<svg" not in html and "<img" not in html
