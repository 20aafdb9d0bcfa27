"""The catalogue as a TOML file: written by ``manage.py plans export``, read by ``manage.py plans import``.

    [plans.team]
    name = "Team"
    features = ["email-support"]
    limits = { teams = 3, seats = "unlimited" }
    trial_days = 14

    [[plans.team.prices]]
    currency = "eur"
    interval = "month"
    amount = 8.5
    per_unit = true
    included_quantity = 3
    provider_id = "price_…"    # of a price that exists at the provider; without it one is created

Plans that the file does not name stay as they are. Where it names prices of a plan, those are all that sell it from now on.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from saas.billing import providers
from saas.billing.catalogue import limits_and_features, plans, prices
from saas.billing.models import Interval, Plan, Price, PriceTerms
from saas.errors import DomainError, Invalid
from saas.money import Money, currency_exponent, is_known_currency

UNLIMITED = "unlimited"
# The keys of the file, and the columns that they set.
PLAN_KEYS = {
    "name": "name",
    "description": "description",
    "features": "features",
    "limits": "limits",
    "visible": "is_visible",
    "order": "position",
    "trial_days": "trial_days",
    "trial_needs_card": "trial_needs_card",
    "archived": "is_active",
}
KEYS_OF_COLUMNS = {column: key for key, column in PLAN_KEYS.items()}
PRICE_KEYS = ("currency", "interval", "amount", "per_unit", "included_quantity", "provider_id")


@dataclass(frozen=True)
class WantedPrice:
    terms: PriceTerms
    provider_id: str


@dataclass(frozen=True)
class WantedPlan:
    """``values`` by columns. ``prices`` is ``None`` where the file names none."""

    id: str
    values: dict[str, Any]
    prices: list[WantedPrice] | None


@dataclass
class _Reader:
    """A file being read. ``faults`` collects everything that is wrong, a sentence each."""

    text: str
    faults: list[str] = field(default_factory=list)

    def note(self, plan_id: str, key: str, sentence: str) -> None:
        self.faults.append(f"line {_line_of(self.text, plan_id, key)}: plan {plan_id}: {sentence}")


class UnusableFile(Invalid):
    title = "The file of plans cannot be used."  # 422


def read_plans(text: str) -> list[WantedPlan]:
    """Raises ``UnusableFile``, whose ``errors["file"]`` name the line and plan of everything that is wrong."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UnusableFile(errors={"file": [f"It is not TOML: {error}"]}) from error
    reader = _Reader(text)
    reader.faults += [f"line {_line_of(text, '', key)}: there is no {key!r}." for key in content if key != "plans"]
    tables = content.get("plans", {})
    if not isinstance(tables, dict):
        tables = {}
        reader.faults.append("Give each plan as a table, such as [plans.growth].")
    wanted = [_read_plan(reader, plan_id, table) for plan_id, table in tables.items()]
    if reader.faults:
        raise UnusableFile(errors={"file": reader.faults})
    return wanted


def _read_plan(reader: _Reader, plan_id: str, table: Any) -> WantedPlan:
    if not isinstance(table, dict):
        reader.note(plan_id, plan_id, "give a table.")
        return WantedPlan(plan_id, {}, None)
    for key in table.keys() - PLAN_KEYS.keys() - {"prices"}:
        reader.note(plan_id, key, f"there is no {key!r}. Known are {', '.join([*PLAN_KEYS, 'prices'])}.")
    values = {PLAN_KEYS[key]: _plan_value(key, value) for key, value in table.items() if key in PLAN_KEYS}
    for column, sentences in plans.check_plan_values(values).items():
        for sentence in sentences:
            quoted = re.search(r"'([^']+)'", sentence)
            reader.note(
                plan_id, quoted[1] if quoted else KEYS_OF_COLUMNS[column], f"{KEYS_OF_COLUMNS[column]}: {sentence}"
            )
    rows = table.get("prices")
    wanted = None if rows is None else list(_read_prices(reader, plan_id, rows))
    return WantedPlan(plan_id, values, wanted)


def _plan_value(key: str, value: Any) -> Any:
    if key == "archived":
        return not value if isinstance(value, bool) else value
    if key == "limits" and isinstance(value, dict):
        return {name: None if limit == UNLIMITED else limit for name, limit in value.items()}
    return value


def _read_prices(reader: _Reader, plan_id: str, rows: Any) -> Iterator[WantedPrice]:
    seen: set[tuple[str, str]] = set()
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, dict):
            reader.note(plan_id, "prices", "give each price as a table, [[plans.….prices]].")
            continue
        for key in row.keys() - set(PRICE_KEYS):
            reader.note(plan_id, key, f"a price has no {key!r}. Known are {', '.join(PRICE_KEYS)}.")
        price = _read_price(reader, plan_id, row)
        if price and price.terms.key in seen:
            reader.note(plan_id, "prices", f"{price.terms.currency} by the {price.terms.interval} is named twice.")
        elif price:
            seen.add(price.terms.key)
            yield price


def _read_price(reader: _Reader, plan_id: str, row: dict[str, Any]) -> WantedPrice | None:
    currency, amount = row.get("currency", settings.BILLING_CURRENCY), row.get("amount")
    if not isinstance(currency, str) or not is_known_currency(currency):
        reader.note(plan_id, "currency", f"there is no currency {currency!r}: give a code such as eur.")
        return None
    minor = _minor_units(amount, currency)
    if minor is None:
        decimals = currency_exponent(currency)
        reader.note(plan_id, "amount", f"{amount!r} is no amount of {currency}, which has {decimals} decimals.")
        return None
    per_unit, included = row.get("per_unit", False), row.get("included_quantity", 1)
    if not isinstance(per_unit, bool) or not isinstance(included, int) or isinstance(included, bool):
        reader.note(plan_id, "per_unit", "per_unit is true or false, and included_quantity a whole number.")
        return None
    terms = PriceTerms(currency, str(row.get("interval", Interval.MONTH)), minor, per_unit, included)
    faults = terms.check()
    for name, sentences in faults.items():
        reader.note(plan_id, "amount" if name == "unit_amount_cents" else name, f"{name}: {sentences[0]}")
    return None if faults else WantedPrice(terms, str(row.get("provider_id", "")))


def _minor_units(amount: Any, currency: str) -> int | None:
    """The amount in the smallest unit; ``None`` for what is no number, or is finer than that."""
    if not isinstance(amount, int | Decimal) or isinstance(amount, bool):
        return None
    scaled = Decimal(amount).scaleb(currency_exponent(currency))
    return int(scaled) if scaled.is_finite() and scaled == scaled.to_integral_value() else None


def _line_of(text: str, plan_id: str, key: str) -> int:
    """The line in the plan's tables where ``key`` stands, else the first that names the plan."""
    is_inside, first = not plan_id, 1
    header = re.compile(rf"\s*\[+\s*plans\s*\.\s*[\"']?{re.escape(plan_id)}[\"']?\s*[\].]")
    stands = re.compile(rf"(^|[^\w-]){re.escape(key)}($|[^\w-])")
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            is_inside = not plan_id or bool(header.match(line))
            first = number if is_inside and first == 1 else first
        if is_inside and stands.search(line):
            return number
    return first


def import_plans(text: str, *, by: str, dry_run: bool = False) -> list[str]:
    """Bring the catalogue to what the file says, and return a sentence for each change: none the second time.

    All or nothing; with ``dry_run`` nothing. Raises ``UnusableFile``, and what the provider raises where prices are created
    there: then the catalogue is changed, and the import may be repeated.
    """
    wanted = read_plans(text)
    with transaction.atomic():
        changes = [sentence for plan in wanted for sentence in _apply_plan(plan, by)]
        transaction.set_rollback(dry_run)
    if not dry_run:
        _create_prices([plan.id for plan in wanted])
    return changes


def _create_prices(plan_ids: list[str]) -> None:
    waiting = Price.objects.current(providers.current_provider()).filter(plan__in=plan_ids, external_id=None)
    for price in waiting.select_related("plan").order_by("pk"):
        prices.ensure_provider_price(price)


def _apply_plan(wanted: WantedPlan, by: str) -> Iterator[str]:
    try:
        if not Plan.objects.filter(pk=wanted.id).exists():
            plans.create_plan(wanted.id, by=by, **wanted.values)
            yield f"{wanted.id}: new plan {wanted.values.get('name')}"
        else:
            before = plans.edit_plan(wanted.id, by=by, **wanted.values)
            for column, old in before.items():
                yield f"{wanted.id}: {KEYS_OF_COLUMNS[column]} changed from {old!r} to {wanted.values[column]!r}"
        if wanted.prices is not None:
            yield from _apply_prices(wanted.id, wanted.prices, by)
    except UnusableFile:
        raise
    except DomainError as refusal:
        raise UnusableFile(errors={"file": [f"plan {wanted.id}: {' '.join(refusal.sentences)}"]}) from refusal


def _apply_prices(plan_id: str, wanted: list[WantedPrice], by: str) -> Iterator[str]:
    mine = _single_amount_prices().filter(plan=plan_id)
    before = set(mine.values_list("pk", flat=True))
    kept = set()
    for one in wanted:
        price = prices.commit_price(plan_id, one.terms, by=by, external_id=one.provider_id)
        kept.add(price.pk)
        if price.pk not in before:
            yield f"{plan_id}: {_described(one.terms)} (version {price.version})"
    for price in mine.exclude(pk__in=kept):
        prices.retire_price(price, by=by)
        yield f"{plan_id}: sold no longer by {price}"


def _described(terms: PriceTerms) -> str:
    amount = Money(terms.unit_amount_cents, terms.currency)
    return f"{amount} a {terms.interval}{' for each seat' if terms.is_per_unit else ''}"


def _single_amount_prices() -> QuerySet[Price]:
    """The prices on sale without tiered and metered ones, which a file cannot state and leaves as they are. One whose amount the
    provider has not told yet is included."""
    current = Price.objects.current(providers.current_provider())
    return current.exclude(prices.is_told(), unit_amount_cents=None)


def export_plans() -> str:
    """The whole catalogue; importing it changes nothing. Limits and features of modules that are gone are left out."""
    known = _single_amount_prices().filter(unit_amount_cents__isnull=False)
    current = list(known.select_related("plan").order_by("currency", "interval", "-version"))
    return "\n".join(
        _exported(plan, [row for row in current if row.plan_id == plan.pk]) for plan in Plan.objects.in_order()
    )


def _exported(plan: Plan, rows: list[Price]) -> str:
    values = {key: getattr(plan, column) for key, column in PLAN_KEYS.items()}
    values["archived"] = not plan.is_active
    values["features"] = [key for key in plan.features if not limits_and_features.check_features([key])]
    known = {key: value for key, value in plan.limits.items() if not limits_and_features.check_limits({key: value})}
    limits = ", ".join(f"{key} = {_toml(UNLIMITED if value is None else value)}" for key, value in known.items())
    values["limits"] = None
    lines = [f"[plans.{plan.pk}]", *(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None)]
    lines.append(f"limits = {{ {limits} }}" if limits else "limits = {}")
    for row in {PriceTerms.of(row).key: row for row in reversed(rows)}.values():
        lines += ["", f"[[plans.{plan.pk}.prices]]", *_exported_price(row)]
    return "\n".join(lines) + "\n"


def _exported_price(row: Price) -> Iterator[str]:
    terms = PriceTerms.of(row)
    yield f"currency = {_toml(terms.currency)}"
    yield f"interval = {_toml(terms.interval)}"
    yield f"amount = {Money(terms.unit_amount_cents, terms.currency).decimal}"
    if terms.is_per_unit:
        yield "per_unit = true"
        yield f"included_quantity = {terms.included_quantity}"
    if row.provider == "stripe" and row.external_id:
        yield f"provider_id = {_toml(row.external_id)}"


def _toml(value: object) -> str:
    """JSON's texts, numbers, booleans and lists are TOML's, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
