"""Every answer that any test gets is held against the schema of the service that gave it."""

import re
from functools import cache
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from jsonschema import Draft202012Validator

from saas.testing.openapi import Operation, openapi_document

# What any operation may answer, so that only the schema's ``default`` tells of it.
ANYWHERE = {405, 406, 500}
_ERRORS = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
# What any operation may answer under a status of its own accord.
GENERAL_CODES = set(
    re.findall(r"^\| `(\w+)`", _ERRORS.partition("## Everywhere")[2].partition("\n## ")[0], re.MULTILINE)
)
PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "request_id"}


def assert_matches_schema(service: str, method: str, response: Any) -> None:
    """Fail if ``response`` has a status, a content type or a field that the schema does not tell of, or lacks one."""
    if current_thread() is not main_thread():  # a race: the schema is not made by many at once
        return
    match = response.wsgi_request.resolver_match
    operation = _operation(service, method, match.route) if match else None
    if operation is None:
        return
    where = f"{operation} {response.status_code}"
    if response.headers.get("Content-Type") == "application/problem+json":
        _check_problem(operation, where, response.json())
        return
    assert str(response.status_code) in operation.raw["responses"], f"{where} is not in the schema"
    _check_body(operation, where, response)


def _check_problem(operation: Operation, where: str, problem: dict[str, Any]) -> None:
    assert set(problem) - {"errors"} == PROBLEM_FIELDS, where
    documented = operation.raw["responses"].get(str(problem["status"]))
    if problem["status"] not in ANYWHERE:
        assert documented, f"{where} {problem['code']} is not in the schema: add it to the view's refusals(…)"
    if documented and problem["code"] not in GENERAL_CODES:
        told = operation.resolved(documented)["description"]
        assert f"`{problem['code']}`" in told, (
            f"{where} {problem['code']} is not in the schema: add it to the view's refusals(…)"
        )


def _check_body(operation: Operation, where: str, response: Any) -> None:
    status, kind = str(response.status_code), response.headers.get("Content-Type", "").partition(";")[0]
    documented = operation.resolved(operation.raw["responses"][status]).get("content", {})
    if not documented:
        assert not response.streaming, f"{where} streams what is not in the schema"
        assert response.content == b"", f"{where} has a body that is not in the schema"
        return
    assert kind in documented, f"{where} is {kind}, documented as {sorted(documented)}"
    if kind == "application/json":
        errors = _validator(operation.service, operation.method, operation.path, status).iter_errors(response.json())
        faults = [f"{error.json_path}: {error.message[:300]}" for error in errors]
        assert faults == [], f"{where} differs from the schema: {faults}"


@cache
def _operation(service: str, method: str, route: str) -> Operation | None:
    if route == "openapi.json":  # the schema itself is read through here
        return None
    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
    raw = openapi_document(service)["paths"].get(path, {}).get(method.lower())
    return Operation(service, method, path, raw) if raw else None


@cache
def _validator(service: str, method: str, path: str, status: str) -> Draft202012Validator:
    operation = Operation(service, method, path, openapi_document(service)["paths"][path][method.lower()])
    response = operation.resolved(operation.raw["responses"][status])
    schema = _strict(response["content"]["application/json"]["schema"])
    return Draft202012Validator({**schema, "components": _strict(openapi_document(service)["components"])})


def _strict(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema, with one more rule: an object has the properties that it documents and no others."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {key: _strict(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    if strict.pop("nullable", False) is True:
        return {"anyOf": [{"type": "null"}, strict]}
    return strict
