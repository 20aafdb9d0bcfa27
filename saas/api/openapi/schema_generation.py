"""OpenAPI generation: drf-spectacular's findings, completed with problem documents and the request id of every response."""

import inspect
from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiRequest, OpenApiResponse

from saas.accounts.models import Audience
from saas.api.problems import CODES_AND_TITLES
from saas.errors import DomainError

# Where a tag is about something else for staff than for customers.
STAFF_TAGS = {
    "auth": "How staff log in, stay in and go out, with a second factor.",
    "users": "Finding people, what they are and have, and what staff do to an account.",
    "billing": "Subscriptions, invoices, prices and promotion codes: looking at them, and moving money.",
    "webhooks": "Running an event of the payment provider once more.",
}

_ALWAYS = {400, 503}
_HEADERS_OF_PROBLEMS = {
    401: ["WWW-Authenticate"],
    405: ["Allow"],
    429: ["Retry-After", "RateLimit", "RateLimit-Policy"],
    503: ["Retry-After"],
}
_HEADERS = {
    "X-Request-ID": "The request's id: the caller's own, or a new one. It stands on every log line of the request.",
    "WWW-Authenticate": "The way to prove who you are.",
    "Allow": "The methods that this address knows.",
    "Retry-After": "Seconds after which trying again makes sense.",
    "RateLimit": "What is left of the limit, and when it is whole again.",
    "RateLimit-Policy": "The limit: how many requests in how many seconds.",
}
_REQUEST_ID_PARAMETER = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "An id of your own for this request: 1 to 64 of `A-Z a-z 0-9 . _ -`. Another one is replaced.",
    "schema": {"type": "string"},  # no pattern: whatever is sent, the request is answered
}
_PROBLEM = {
    "type": "object",
    "description": "A refusal or failure (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "example": "urn:saas:problem:invalid"},
        "title": {"type": "string", "example": "Some fields are not valid."},
        "status": {"type": "integer", "example": 422},
        "detail": {"type": "string", "description": "One sentence about this occurrence."},
        "code": {"type": "string", "description": "Stable and machine-readable.", "example": "invalid"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "The fields that are not valid, each with its sentences.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
            "example": {"email": ["This field is required."]},
        },
    },
}


def problem_responses(*classes: type[DomainError]) -> dict[int, OpenApiResponse]:
    """For ``@extend_schema(responses={201: …, **problem_responses(EmailTaken)})``: an operation's own refusals."""
    return {
        status: OpenApiResponse(
            description=" ".join(f"`{one.code}`: {one.title}" for one in classes if one.status == status)
        )
        for status in sorted({one.status for one in classes})
    }


class OptionalBody(OpenApiRequest):
    """``@extend_schema(request=OptionalBody(…))``: for a view that reads its body with ``optional_body``."""


class ApiSchema(AutoSchema):
    """Document one operation. A view's ``@extend_schema`` takes precedence."""

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> Any:
        operation = super().get_operation(path, path_regex, path_prefix, method, registry)
        if not operation:
            return operation
        refusals = {
            str(status): _reference("responses", f"Problem{status}") for status in self._problem_statuses(operation)
        }
        own = {status: _finished(int(status), response) for status, response in operation["responses"].items()}
        operation["responses"] = {
            **dict(sorted((refusals | own).items())),
            "default": _reference("responses", "Problem"),
        }
        operation["parameters"] = [*operation.get("parameters", []), _reference("parameters", "RequestId")]
        return operation

    def get_auth(self) -> list[dict[str, Any]]:
        """No security requirement for public operations, where drf-spectacular writes an optional one."""
        return [requirement for requirement in super().get_auth() if requirement]

    def get_description(self) -> str:  # type: ignore[override]
        """The docstring of the method, or of the class that defines it, but not of a base class."""
        name = self.method.lower()
        owner = next(cls for cls in type(self.view).__mro__ if name in vars(cls))
        return inspect.cleandoc(getattr(owner, name).__doc__ or owner.__doc__ or "")

    def get_summary(self) -> str | None:
        """By default the operation's id in words."""
        return self.get_operation_id().replace("_", " ").capitalize()

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """``RegisterBody`` as ``Register`` (drf-spectacular appends ``Request``), ``UserShape`` as ``User``."""
        name: str = super().get_serializer_name(serializer, direction)
        return name.removesuffix("Body").removesuffix("Shape")

    def _get_request_body(self, direction: Any = "request") -> Any:
        """A declared body is required, even where none of its fields is."""
        body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        return body and {**body, "required": not isinstance(self.get_request_serializer(), OptionalBody)}

    def _problem_statuses(self, operation: dict[str, Any]) -> list[int]:
        has_body = "requestBody" in operation
        has_query = any(parameter.get("in") == "query" for parameter in operation.get("parameters", []))
        # Staff can get 403 for a read: by role, or while they have no second factor.
        is_for_staff = any(getattr(one, "audience", None) == Audience.STAFF for one in self.view.get_authenticators())
        answers = {
            401: bool(operation.get("security")),
            403: self.method != "GET" or is_for_staff,
            404: "{" in self.path,
            413: has_body,
            415: has_body,
            422: has_body or has_query,
            429: bool(getattr(self.view, "limits", ()) or operation.get("security")),
        }
        return sorted(_ALWAYS | {status for status, possible in answers.items() if possible})


def postprocess_schema(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: the parts that operations refer to, tags, and ids that are unique."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"] = {"Problem": _problem_response("Any other refusal or failure.")} | {
        f"Problem{status}": _problem_response(title, status) for status, (_, title) in CODES_AND_TITLES.items()
    }
    components["parameters"] = {"RequestId": _REQUEST_ID_PARAMETER}
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
    }
    operations = [operation for methods in result["paths"].values() for operation in methods.values()]
    used = {tag for operation in operations for tag in operation.get("tags", [])}
    result["tags"] = [tag for tag in _tags(result.get("tags", [])) if tag["name"] in used]
    _name_aliases(result["paths"])
    return _without_generator_hints(result)  # type: ignore[no-any-return]


def _tags(in_order: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those of the settings, as the service means them; before the last, which every service has, those of added modules."""
    own = STAFF_TAGS if settings.SERVICE == "admin_ops" else {}
    tags = [{**tag, "description": own.get(tag["name"], tag["description"])} for tag in in_order]
    added = [{"name": name, "description": text} for name, text in _tags_of_added_modules().items()]
    return [*tags[:-1], *added, *tags[-1:]]


def _tags_of_added_modules() -> dict[str, str]:
    """Their app's ``verbose_name`` in lower case, explained by its ``api_tag``."""
    configs = [apps.get_app_config(module) for module in settings.MODULES]
    return {str(config.verbose_name).lower(): config.api_tag for config in configs}  # type: ignore[attr-defined]


def _problem_response(description: str, status: int = 0) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _header_references(_HEADERS_OF_PROBLEMS.get(status, [])),
        "content": {"application/problem+json": {"schema": _reference("schemas", "Problem")}},
    }


def _header_references(names: list[str]) -> dict[str, Any]:
    return {name: _reference("headers", name) for name in ["X-Request-ID", *names]}


def _reference(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _finished(status: int, response: dict[str, Any]) -> dict[str, Any]:
    """A response that a view documents itself, with the headers and, for a bare refusal, the body that all have."""
    phrase = HTTPStatus(status).phrase
    if status >= HTTPStatus.BAD_REQUEST and "content" not in response:
        return _problem_response(response.get("description") or phrase, status)
    headers = {**_header_references([]), **response.get("headers", {})}
    return {**response, "description": response.get("description") or phrase, "headers": headers}


def _name_aliases(paths: dict[str, Any]) -> None:
    """The same view at ``/x`` and at ``/api/x``: the second operation's id is the first's, after ``api_``."""
    for path, methods in paths.items():
        twin = paths.get(path.removeprefix("/api"), {}) if path.startswith("/api/") else {}
        for method, operation in methods.items():
            if method in twin and twin[method]["operationId"] == operation["operationId"]:
                operation["operationId"] = f"api_{operation['operationId']}"


def _without_generator_hints(value: Any) -> Any:
    """Remove what client generators cannot handle.

    drf-spectacular marks choices for a hook that needs a name for every list of them; we do not use it. An empty choice
    means that a filter is left out, and is not a value to send.
    """
    if isinstance(value, dict):
        choices = value.get("enum")
        if isinstance(choices, list) and "" not in choices:
            value = {key: item for key, item in value.items() if key != "minLength" and (key, item) != ("default", "")}
        return {key: _without_generator_hints(item) for key, item in value.items() if key != "x-spec-enum-id"}
    if isinstance(value, list):
        return [_without_generator_hints(item) for item in value]
    return value
