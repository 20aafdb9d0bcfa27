"""Compare a response with what its step expects, and with what is expected of every response."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from saas.conformance import contract_shapes
from saas.conformance.calls import PROBLEM, Answer
from saas.conformance.contract import Contract, Operation, Step

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NOT_THERE = object()

Check = Callable[[Step, Answer], Iterator[str]]
_checks: list[Check] = []


def answer_check(check: Check) -> Check:
    """Register a check of a step's expectations that yields faults."""
    _checks.append(check)
    return check


def find_response_faults(contract: Contract, operation: Operation, step: Step, answer: Answer) -> Iterator[str]:
    """Yield every fault of ``answer`` as a sentence; only the status if that is wrong."""
    expected = step.status or operation.status
    if answer.status != expected:
        code = value_at(answer.body, "code")
        yield f"status {answer.status}, not {expected}" + (f" ({code})" if isinstance(code, str) else "")
        return
    if not _REQUEST_ID.fullmatch(answer.headers.get("X-Request-ID", "")):
        yield "no decent X-Request-ID"
    shape = step.answer or operation.answer
    yield from (
        _find_refusal_faults(contract, step, answer)
        if expected >= 400
        else _find_success_faults(contract, shape, answer)
    )
    for check in _checks:
        yield from check(step, answer)
    yield from _find_cookie_faults(contract, step, answer)


def value_at(value: Any, path: str) -> Any:
    """``user.id`` of ``{"user": {"id": 1}}``, ``codes.0`` of ``{"codes": [1]}``; a marker for a missing value."""
    for name in path.split("."):
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            value = value.get(name, _NOT_THERE) if isinstance(value, Mapping) else _NOT_THERE
    return value


def _find_success_faults(contract: Contract, shape: str, answer: Answer) -> Iterator[str]:
    if not shape:
        if answer.body is not None:
            yield "there is a body where none is due"
        return
    kind = answer.headers.get("Content-Type", "")
    if kind.partition(";")[0] != "application/json":
        yield f"Content-Type is {kind!r}, not application/json"
    yield from contract_shapes.find_shape_faults(contract, shape, answer.body)


def _find_refusal_faults(contract: Contract, step: Step, answer: Answer) -> Iterator[str]:
    if not answer.is_problem:
        yield f"Content-Type is {answer.headers.get('Content-Type')!r}, not {PROBLEM}"
    yield from contract_shapes.find_shape_faults(contract, "problem", answer.body)
    if value_at(answer.body, "status") != answer.status:
        yield f"the problem tells of status {value_at(answer.body, 'status')}"
    if value_at(answer.body, "request_id") != answer.headers.get("X-Request-ID"):
        yield "request_id differs from X-Request-ID"
    if step.code and value_at(answer.body, "code") not in step.code.split(" or "):
        yield f"code is {value_at(answer.body, 'code')!r}, not {step.code!r}"


@answer_check
def check_fields(step: Step, answer: Answer) -> Iterator[str]:
    errors = value_at(answer.body, "errors")
    named = set(errors) if isinstance(errors, Mapping) else set()
    if step.fields and named != set(step.fields):
        yield f"errors name {sorted(named)}, not {sorted(step.fields)}"
    elif step.fields and not all(map(contract_shapes.is_texts, errors.values())):
        yield "errors are not lists of sentences"


@answer_check
def check_values(step: Step, answer: Answer) -> Iterator[str]:
    for path, value in step.equal.items():
        if (found := value_at(answer.body, path)) != value:
            yield f"{path} is {_short(found)}, not {_short(value)}"
    for path, value in step.differ.items():
        if value_at(answer.body, path) == value:
            yield f"{path} is still {_short(value)}"


@answer_check
def check_absence(step: Step, answer: Answer) -> Iterator[str]:
    yield from (f"{name} is there" for name in step.absent if value_at(answer.body, name) is not _NOT_THERE)


@answer_check
def check_items(step: Step, answer: Answer) -> Iterator[str]:
    for name, wanted in step.contains.items():
        if not any(_fits(item, wanted) for item in _items(answer, name)):
            yield f"{name} has no item with {_short(wanted)}"
    for name, unwanted in step.lacks.items():
        if any(_fits(item, unwanted) for item in _items(answer, name)):
            yield f"{name} has an item with {_short(unwanted)}"


def _items(answer: Answer, name: str) -> list[Any]:
    found = value_at(answer.body, name)
    return found if isinstance(found, list) else []


def _fits(item: Any, wanted: Mapping[str, Any]) -> bool:
    return all(value_at(item, name) == value for name, value in wanted.items())


@answer_check
def check_headers(step: Step, answer: Answer) -> Iterator[str]:
    for name, part in step.has_headers.items():
        if part.lower() not in answer.headers.get(name, "").lower():
            yield f"{name} is {answer.headers.get(name)!r}, without {part!r}"
    for name, part in step.lacks_headers.items():
        if part in answer.headers.get(name, ""):
            yield f"{name} is {part!r}"


def _find_cookie_faults(contract: Contract, step: Step, answer: Answer) -> Iterator[str]:
    cookie = answer.cookies.get(contract.cookie) or answer.cookies.get(f"__Host-{contract.cookie}")
    if step.no_cookie and cookie is not None and cookie.value:
        yield "a session cookie is set"
    if step.drops_cookie and (cookie is None or cookie.value):
        yield "the session cookie is not taken away"
    if step.sets_cookie and (cookie is None or not cookie.value):
        yield f"no cookie {contract.cookie} is set"
    elif step.sets_cookie and cookie is not None:
        attributes = cookie.OutputString().lower().split("; ")
        yield from (f"the cookie lacks {one}" for one in sorted(contract.cookie_attributes - set(attributes)))


def _short(value: Any) -> str:
    text = "not there" if value is _NOT_THERE else repr(value)
    return text if len(text) <= 70 else f"{text[:67]}…"
