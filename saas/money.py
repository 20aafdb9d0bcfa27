"""Amounts of money: whole minor units of a currency, as providers count them, and how people and programs read them.

Columns and fields named ``…_cents`` hold minor units, whatever the currency calls them: 5000 of the yen, which has none, are
5,000 JPY, and 12345 of the Kuwaiti dinar, which has thousandths, 12.345 KWD.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel.numbers import format_decimal, get_currency_precision, list_currencies

# Babel knows how many decimals people write. For these currencies that is fewer than the minor unit of ISO 4217, by which
# providers count; of ISK and UGX Stripe counts hundredths, although ISO 4217 has none (https://docs.stripe.com/currencies).
_COUNTED = {
    **dict.fromkeys(["AFN", "ALL", "COP", "HUF", "IDR", "IRR", "KPW", "LAK", "LBP", "MMK", "SOS", "SYP", "YER"], 2),
    "IQD": 3,
    "ISK": 2,
    "UGX": 2,
}


@cache
def is_known_currency(currency: str) -> bool:
    """Whether it is a code of ISO 4217, in lower case as our tables have them."""
    return currency.islower() and currency.upper() in list_currencies()


@cache
def currency_exponent(currency: str) -> int:
    """How many decimals of the currency its minor unit is: 2 of ``usd``, 0 of ``jpy``, 3 of ``kwd``. Of an unknown one 2."""
    code = currency.upper()
    return _COUNTED[code] if code in _COUNTED else get_currency_precision(code)


def smallest_payment(currency: str) -> int:
    """The smallest amount that can be paid or refunded, in minor units; all payments are multiples of it. Stripe counts in
    hundredths of ISK and UGX and thousandths of dinars, but takes neither (https://docs.stripe.com/currencies)."""
    if currency.upper() in {"ISK", "UGX"}:
        return 100
    return 10 if currency_exponent(currency) == 3 else 1


@dataclass(frozen=True, slots=True)
class Money:
    """``minor`` units of ``currency``, a code of ISO 4217 in either case."""

    minor: int
    currency: str

    @classmethod
    def from_units(cls, units: int | float | Decimal, currency: str) -> "Money":
        """The inverse of ``units``."""
        return cls(int(Decimal(str(units)).scaleb(currency_exponent(currency)).to_integral_value()), currency)

    @property
    def decimal(self) -> Decimal:
        """In whole units of the currency, with all its decimals."""
        return Decimal(self.minor).scaleb(-currency_exponent(self.currency))

    @property
    def units(self) -> int | float:
        """In whole units of the currency, as JSON has numbers: 19, or 19.5."""
        amount = self.decimal
        return int(amount) if amount == amount.to_integral_value() else float(amount)

    def text(self, locale: str = "en") -> str:
        """``1,249.00 USD``, ``5,000 JPY``; in German ``1.249,00 USD``."""
        return self._written(currency_exponent(self.currency), locale)

    def short(self, locale: str = "en") -> str:
        """``79 USD``, ``79.50 USD``: decimals only where there are any."""
        return self._written(0 if isinstance(self.units, int) else currency_exponent(self.currency), locale)

    def _written(self, decimals: int, locale: str) -> str:
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return f"{format_decimal(self.decimal, format=pattern, locale=locale)} {self.currency.upper()}".strip()

    def __str__(self) -> str:
        return self.text()
