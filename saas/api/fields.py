"""Serializer fields without type coercion: a number is no string, 1 is not ``true``."""

import re
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from saas import text_normalization
from saas.accounts.metadata import MAX_KEYS, MAX_VALUE_LENGTH

_DIGITS = re.compile(r"-?[0-9]{1,18}")
_LOST_PLUS = re.compile(r"([T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?) ([0-9]{2}(?::?[0-9]{2})?)")


class StrictCharField(serializers.CharField):
    """A string, at most ``max_length`` characters. Numbers are not turned into strings."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class NameField(StrictCharField):
    """A display name: one line, Unicode-normalized, without invisible characters."""

    def to_internal_value(self, data: Any) -> str:
        value = text_normalization.normalize_name(super().to_internal_value(data))
        if fault := text_normalization.name_error(value):
            raise serializers.ValidationError(fault)
        return value


class MetadataField(serializers.DictField):
    """Changes of metadata: the domain merges them (``saas.accounts.metadata``) and checks their keys and number."""

    def __init__(self, **options: Any) -> None:
        child = StrictCharField(max_length=MAX_VALUE_LENGTH, allow_blank=True, trim_whitespace=False)
        help_text = f"Merged: an empty value removes its key, other keys stay. At most {MAX_KEYS} keys."
        super().__init__(child=child, help_text=help_text, **options)


class StrictBooleanField(serializers.BooleanField):
    """``true`` or ``false``; not 1, "yes" or "on"."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class QueryIntegerField(serializers.IntegerField):
    """A whole number in a query string: ASCII digits, not "+5", "1_0" or the digits of another script."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or not _DIGITS.fullmatch(data):
            self.fail("invalid")
        return int(data)


class QueryTimeField(serializers.DateTimeField):
    """A moment in a query string. The ``+`` of its zone arrives as a blank where the client did not write ``%2B``."""

    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, str) and (found := _LOST_PLUS.fullmatch(value, 10)):  # after the day
            value = f"{value[:10]}{found[1]}+{found[2]}"
        return super().to_internal_value(value)


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer between ``min_value`` and ``max_value``; not "1", 1.0 or true."""

    def __init__(self, *, min_value: int, max_value: int, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


class OptionalIntegerField(StrictIntegerField):
    """A ``StrictIntegerField`` that may be null, and is null where it is left out."""

    def __init__(self, *, min_value: int, max_value: int, **options: Any) -> None:
        absent: dict[str, Any] = {"required": False, "allow_null": True, "default": None}
        super().__init__(min_value=min_value, max_value=max_value, **absent, **options)


class StrictDecimalField(serializers.DecimalField):
    """A JSON number with at most ``decimal_places``; not "1.5", "" or true."""

    def __init__(self, *, max_digits: int, decimal_places: int, **options: Any) -> None:
        super().__init__(max_digits=max_digits, decimal_places=decimal_places, coerce_to_string=False, **options)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        if data == "":  # DRF takes it for null
            self.fail("invalid")
        return super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, int | float | Decimal) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)
