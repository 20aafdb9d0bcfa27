"""Naming conventions on the wire: snake_case, as in the contract, or camelCase."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from saas.conformance.contract import Contract


@dataclass(frozen=True)
class Convention:
    """``renames``: names are sent in camelCase, except those that the contract keeps."""

    name: str
    renames: bool
    contract: Contract

    @property
    def other(self) -> "Convention":
        return Convention("the other", not self.renames, self.contract)

    def to_wire(self, name: str) -> str:
        """Return a name of the contract as it is sent."""
        if not self.renames or name in self.contract.kept:
            return name
        return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)

    def from_wire(self, name: str) -> str:
        """Return a received name as in the contract; in brackets if the convention never writes it so."""
        snake = re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name) if self.renames else name
        return snake if self.to_wire(snake) == name else f"({name})"

    def outgoing(self, value: Any) -> Any:
        return self._renamed(value, self.to_wire)

    def incoming(self, value: Any) -> Any:
        return self._renamed(value, self.from_wire)

    def _renamed(self, value: Any, rename: Callable[[str], str]) -> Any:
        if isinstance(value, list):
            return [self._renamed(item, rename) for item in value]
        if not isinstance(value, Mapping):
            return value
        maps = {self.to_wire(name) for name in self.contract.maps} | self.contract.maps
        return {rename(name): item if name in maps else self._renamed(item, rename) for name, item in value.items()}


def load_convention(name: str, contract: Contract) -> Convention:
    return Convention(name, contract.conventions[name], contract)
