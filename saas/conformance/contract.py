"""``contract.toml`` as objects. An unknown name in it raises ``TypeError``."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("contract.toml")


@dataclass(frozen=True)
class Operation:
    """``answer`` names a shape. ``plain``: its names are the same in every convention."""

    method: str
    path: str
    status: int = 200
    answer: str = ""
    plain: bool = False


@dataclass(frozen=True)
class Step:
    """One call and its expected response; ``contract.toml`` explains each name."""

    at: str = "here"
    do: str = ""
    method: str = ""
    path: str = ""
    path_values: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    other_names: bool = False
    raw: str | None = None
    raw_size: int = 0
    type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer: str = ""
    authorization: str | None = None
    cookies: Sequence[str] = ()
    csrf: str = ""
    status: int = 0
    code: str = ""
    fields: Sequence[str] = ()
    answer: str = ""
    absent: Sequence[str] = ()
    equal: Mapping[str, Any] = field(default_factory=dict)
    differ: Mapping[str, Any] = field(default_factory=dict)
    contains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    has_headers: Mapping[str, str] = field(default_factory=dict)
    lacks_headers: Mapping[str, str] = field(default_factory=dict)
    no_cookie: bool = False
    sets_cookie: bool = False
    drops_cookie: bool = False
    keep: str = ""


@dataclass(frozen=True)
class Rule:
    id: str
    says: str
    steps: Sequence[Step]

    @property
    def needs_peer(self) -> bool:
        return any(step.at == "there" for step in self.steps)


@dataclass(frozen=True)
class Contract:
    """``shapes``: for each name, its fields and their types."""

    conventions: Mapping[str, bool]
    kept: frozenset[str]
    maps: frozenset[str]
    cookie: str
    cookie_attributes: frozenset[str]
    shapes: Mapping[str, Mapping[str, str]]
    operations: Mapping[str, Operation]
    rules: Sequence[Rule]

    def operation(self, step: Step) -> Operation:
        """Return the operation that ``step`` calls, or one made of its own method and path."""
        return self.operations[step.do] if step.do else Operation(step.method, step.path)


@cache
def load_contract() -> Contract:
    """Read the contract next to this file."""
    document = tomllib.loads(PATH.read_text(encoding="utf-8"))
    return Contract(
        conventions={name: bool(options.get("renames")) for name, options in document["conventions"].items()},
        kept=frozenset(document["names"]["kept"]),
        maps=frozenset(document["names"]["maps"]),
        cookie=document["cookie"]["name"],
        cookie_attributes=frozenset(document["cookie"]["attributes"]),
        shapes=document["shapes"],
        operations={name: Operation(**options) for name, options in document["operations"].items()},
        rules=[Rule(rule["id"], rule["says"], [Step(**step) for step in rule["steps"]]) for rule in document["rules"]],
    )
