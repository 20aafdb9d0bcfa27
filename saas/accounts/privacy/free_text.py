"""Free text in which anybody may have quoted a person: staff's reasons and notes, errors, the values of mails.

An app registers its columns in its ``personal_data.py``. An erasure replaces what mentions the person, wherever it stands.
"""

from functools import reduce
from operator import or_
from typing import Any

from django.db import models
from django.db.models.functions import Cast

from saas.accounts.privacy.personal_values import PersonalValues

_columns: list[tuple[type[models.Model], tuple[str, ...]]] = []


def register_free_text(model: type[models.Model], *columns: str) -> None:
    """Register columns of text or JSON."""
    _columns.append((model, columns))


def free_text_columns() -> list[tuple[type[models.Model], tuple[str, ...]]]:
    return list(_columns)


def erase_quotes(values: PersonalValues) -> None:
    """Replace every registered text that mentions the person."""
    for model, columns in _columns:
        for row in _find_rows(model, columns, values):
            changed = {name: redacted for name in columns if (redacted := values.redact(row[name])) != row[name]}
            if changed:
                model._default_manager.filter(pk=row["pk"]).update(**changed)


def _find_rows(model: type[models.Model], columns: tuple[str, ...], values: PersonalValues) -> list[dict[str, Any]]:
    texts = {f"{name}_text": Cast(name, models.TextField()) for name in columns}
    matches = (models.Q(**{f"{text}__icontains": part}) for text in texts for part in values.search_parts)
    rows = model._default_manager.alias(**texts).filter(reduce(or_, matches))
    return list(rows.order_by().values("pk", *columns))
