"""Schemathesis' whole engine against one service: every check, all four phases, one seed. (T58)

Over a port, because the probes of its ``ignored_auth`` cannot be sent to an application in the same process.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEED = 8
# A schema tells what a text may look like, not what it must mean: a password that is too common, a plan that is not
# there, is refused with 422. An unknown token is refused with the operation's own 400.
REFUSED_THOUGH_WELL_FORMED = ["2xx", "3xx", "401", "403", "404", "409", "422", "429"]


@dataclass
class Run:
    """What was found, and what was covered."""

    failures: list[str] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)  # how each ended
    links: int = 0  # from an answer to what may be asked next, as Schemathesis infers them


@dataclass(frozen=True)
class Identities:
    """The user ``who`` sends requests (with an empty token: anonymously), and ``peers`` who must not see each other's objects."""

    tokens: Mapping[str, str]
    who: str
    peers: tuple[str, ...] = ()

    def config(self, folder: Path) -> dict[str, Any]:
        if not self.tokens[self.who]:
            return {}
        path = folder / "identities.json"
        path.write_text(json.dumps({"auth": [self._entry(name) for name in dict.fromkeys([self.who, *self.peers])]}))
        peers = {"peers": list(self.peers)} if self.peers else {}
        return {"auth": {"wfc": {"path": str(path), "user": self.who, **peers}}}

    def _entry(self, name: str) -> dict[str, Any]:
        return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {self.tokens[name]}"}]}


def fuzz(described: dict[str, Any], *, address: str, auth: dict[str, Any], examples: int) -> Run:
    """All phases: ``examples`` of each operation, and chains of calls four times as many over all operations."""
    phases = {
        "examples": {"fill-missing": True},
        "stateful": {"generation": {"max-examples": 4 * examples}, "max-steps": 8},
    }
    return _run(described, {"base-url": address, "phases": phases, **auth}, examples)


def fuzz_call_chains(described: dict[str, Any], *, address: str, auth: dict[str, Any], examples: int) -> Run:
    """Chains of calls only: of few operations, so that what one makes, another deletes and a third asks for."""
    phases = {"enabled": False, "stateful": {"enabled": True, "max-steps": 8}}
    return _run(described, {"base-url": address, "phases": phases, **auth}, examples)


def only_paths(described: dict[str, Any], wanted: Callable[[str], object]) -> dict[str, Any]:
    """The document with the wanted paths only: chains of calls do not heed Schemathesis' own filters."""
    return {**described, "paths": {path: methods for path, methods in described["paths"].items() if wanted(path)}}


def _run(described: dict[str, Any], own: dict[str, Any], examples: int) -> Run:
    import schemathesis
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import from_schema

    config = {
        "seed": SEED,
        "cache": {"enabled": False},
        # A NUL is refused everywhere (T56) and no schema can say so.
        "generation": {"max-examples": examples, "allow-x00": False, "no-shrink": True, "database": "none"},
        "checks": _checks(REFUSED_THOUGH_WELL_FORMED),
        "operations": [
            {"include-operation-id": name, "checks": _checks([*REFUSED_THOUGH_WELL_FORMED, "400"])}
            for name in _with_a_400_of_their_own(described)
        ],
        **own,
    }
    # A copy: the links that it infers are written into the document.
    schema = schemathesis.openapi.from_dict(deepcopy(described), config=SchemathesisConfig.from_dict(config))
    run = Run()
    for event in from_schema(schema).execute():
        _note(run, event)
    return run


def _checks(accepted: list[str]) -> dict[str, Any]:
    return {"positive_data_acceptance": {"expected-statuses": accepted}}


def _with_a_400_of_their_own(described: dict[str, Any]) -> Iterator[str]:
    for methods in described["paths"].values():
        for operation in methods.values():
            if "$ref" not in operation["responses"]["400"]:
                yield operation["operationId"]


def _note(run: Run, event: Any) -> None:
    match type(event).__name__:
        case "PhaseStarted" if event.payload:
            run.links = event.payload.transitions_total
        case "PhaseFinished":
            run.phases[str(event.phase.name.value)] = str(event.status.value)
        case "NonFatalError":
            run.failures.append(f"{event.label}: {event.info.title}: {event.info.message}")
        case "ScenarioFinished":
            _note_scenario(run, event)


def _note_scenario(run: Run, event: Any) -> None:
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info:
                failure = check.failure_info.failure
                run.failures.append(
                    f"{failure.operation}: {check.name}: {failure.message}\n{check.failure_info.code_sample}"
                )
