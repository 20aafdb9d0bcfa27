"""Amounts in every kind of currency, as people and programs read them."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.money import Money, currency_exponent

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("minor", "currency", "text", "short", "units"),
    [
        (124_900, "usd", "1,249.00 USD", "1,249 USD", 1249),
        (7_950, "USD", "79.50 USD", "79.50 USD", 79.5),
        (5_000, "jpy", "5,000 JPY", "5,000 JPY", 5000),
        (12_345, "kwd", "12.345 KWD", "12.345 KWD", 12.345),
        (12_000, "kwd", "12.000 KWD", "12 KWD", 12),
        (-1_999, "eur", "-19.99 EUR", "-19.99 EUR", -19.99),
        (0, "usd", "0.00 USD", "0 USD", 0),
        (19_900, "huf", "199.00 HUF", "199 HUF", 199),  # written without decimals, counted in hundredths
        (50_000, "isk", "500.00 ISK", "500 ISK", 500),
        (12_345, "clf", "1.2345 CLF", "1.2345 CLF", 1.2345),
        (1_900, "", "19.00", "19", 19),
        (1_900, "zzz", "19.00 ZZZ", "19 ZZZ", 19),
    ],
)
def test_an_amount_is_written_as_its_currency_is(
    minor: int, currency: str, text: str, short: str, units: float
) -> None:
    amount = Money(minor, currency)

    assert (str(amount), amount.short(), amount.units) == (text, short, units)
    assert type(amount.units) is type(units)


@pytest.mark.parametrize(
    ("locale", "text"), [("en", "1,249.50 EUR"), ("de", "1.249,50 EUR"), ("fr", "1\u202f249,50 EUR")]
)
def test_an_amount_is_written_as_its_readers_write(locale: str, text: str) -> None:
    assert Money(124_950, "eur").text(locale) == text


@given(minor=st.integers(-(2**53), 2**53), currency=st.sampled_from(["usd", "jpy", "kwd", "clf"]))
def test_nothing_is_lost_between_minor_and_whole_units(minor: int, currency: str) -> None:
    assert Money.from_units(Money(minor, currency).decimal, currency) == Money(minor, currency)


@pytest.mark.parametrize(("currency", "decimals"), [("usd", 2), ("jpy", 0), ("krw", 0), ("bhd", 3), ("tnd", 3)])
def test_the_minor_unit_is_that_of_iso_4217(currency: str, decimals: int) -> None:
    assert currency_exponent(currency) == currency_exponent(currency.upper()) == decimals


def test_no_code_takes_a_hundred_cents_for_granted() -> None:
    amounts = re.compile(r"(cents|amount|price|total|revenue)\w*\W{0,4}\s*(/|//|\*)\s*100\b|floatformat:2|,\.2f\}")
    places: list[Any] = [
        f"{path.relative_to(ROOT)}:{number}"
        for top in ("saas", "product", "admin_ops", "parity", "webhooks")
        for path in (ROOT / top).rglob("*")
        if path.suffix in {".py", ".html", ".js", ".txt"} and not {"tests", "migrations"} & set(path.parts)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if amounts.search(line)
    ]

    assert places == []
