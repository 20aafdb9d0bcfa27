"""The operations in a service's OpenAPI document, for tests that cover every operation of every service."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver

from saas.testing.service_settings import service_settings

SERVICES = ("product", "admin_ops", "parity", "webhooks")


@cache
def openapi_document(service: str) -> dict[str, Any]:
    """Return the OpenAPI document as the service serves it."""
    with service_settings(service):
        answer = Client().get("/openapi.json")
    assert answer.status_code == 200, answer.content
    return answer.json()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Operation:
    """One method of one path of one service."""

    service: str
    method: str
    path: str
    raw: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"

    @property
    def id(self) -> str:
        return str(self.raw["operationId"])

    @property
    def is_public(self) -> bool:
        return not self.raw.get("security")

    @cached_property
    def parameters(self) -> list[dict[str, Any]]:
        return [self.resolved(parameter) for parameter in self.raw.get("parameters", [])]

    def parameter_names(self, location: str) -> list[str]:
        """Return the names of the parameters in ``path``, ``query`` or ``header``."""
        return [parameter["name"] for parameter in self.parameters if parameter["in"] == location]

    @property
    def has_body(self) -> bool:
        return "requestBody" in self.raw

    @cached_property
    def fields(self) -> dict[str, dict[str, Any]]:
        """The properties of the JSON body, by name; empty without one."""
        content = self.raw.get("requestBody", {}).get("content", {})
        schema = self.resolved(content.get("application/json", {}).get("schema", {}))
        return {name: self.resolved(field) for name, field in schema.get("properties", {}).items()}

    def resolved(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``node``, or what its ``$ref`` refers to."""
        if "$ref" not in node:
            return dict(node)
        target: Any = openapi_document(self.service)
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return self.resolved(target)

    def url_for(self, values: Mapping[str, str]) -> str:
        """Return the path with ``values`` for its parameters; one without a value gets a name that does not exist."""
        path = self.path
        for name in self.parameter_names("path"):
            path = path.replace(f"{{{name}}}", values.get(name, "nothing_of_that_name"))
        return path


@cache
def operations(service: str) -> list[Operation]:
    """Return every operation of a service. One at both ``/x`` and ``/api/x`` is listed once, at ``/x``."""
    paths = openapi_document(service)["paths"]
    found = [
        Operation(service, method.upper(), path, raw)
        for path, methods in paths.items()
        for method, raw in methods.items()
    ]
    ids = {operation.id for operation in found}
    return [operation for operation in found if operation.id.removeprefix("api_") not in ids - {operation.id}]


def views_by_path(service: str) -> dict[str, Any]:
    """Return the view of every path of the service, by path in OpenAPI's form; without Django admin's own views."""
    return dict(_views(import_module(f"{service}.urls").urlpatterns, "/"))


def _views(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLPattern):
            yield path, pattern.callback
        elif pattern.app_name != "admin":
            yield from _views(pattern.url_patterns, path)
