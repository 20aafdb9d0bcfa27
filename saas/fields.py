"""Model fields that several apps use."""

from typing import TYPE_CHECKING, Any

from django.db import models

from saas.ids import new_id

if TYPE_CHECKING:
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class PrefixedIdField(_CharField):
    """A primary key made by :func:`new_id`."""

    def __init__(self, *, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        options.setdefault("max_length", 40)
        options.setdefault("editable", False)
        super().__init__(**options)

    def get_default(self) -> str:
        return new_id(self.prefix)

    def has_default(self) -> bool:
        return True

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        return name, path, list(args), {**options, "prefix": self.prefix}
