"""camelCase (NestJS's convention) for the views of the Product API: field names in requests and responses.

The views are shared; only names change here. OAuth's names keep the form of RFC 6749, and keys that a user chose (of a
map such as ``socialLinks``) are not changed.
"""

import re
from collections.abc import Callable, Mapping
from typing import IO, Any

from django.http import HttpRequest, QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from saas.api.openapi.schema_generation import ApiSchema
from saas.api.parsers import StrictJSONParser
from saas.api.problems import flatten_errors
from saas.errors import DomainError

OAUTH_NAMES = frozenset({"access_token", "refresh_token", "token_type", "expires_in"})
# Maps with keys that users choose, by their snake_case name; a test compares this list with the schema.
FREE_FORM_MAPS = frozenset({"social_links", "metadata", "personal_data", "kept_after_deletion"})


def to_camel_case(name: str) -> str:
    """``full_name`` as ``fullName``."""
    return name if name in OAUTH_NAMES else re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def to_snake_case(name: str) -> str | None:
    """``fullName`` as ``full_name``; ``None`` for a name that this convention never writes so: ``full_name``, ``accessToken``."""
    snake = name if name in OAUTH_NAMES else re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)
    return snake if to_camel_case(snake) == name else None


def snake_case_keys(value: Any) -> Any:
    """Rename parsed JSON for the shared views; names that are not camelCase are dropped, as unknown fields are."""
    return _renamed(value, to_snake_case)


def camel_case_keys(value: Any) -> Any:
    """Rename the fields of a response."""
    return _renamed(value, to_camel_case)


def _renamed(value: Any, rename: Callable[[str], str | None]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    if not isinstance(value, Mapping):
        return value
    names = {key: rename(key) for key in value}
    return {
        name: value[key] if {key, name} & FREE_FORM_MAPS else _renamed(value[key], rename)
        for key, name in names.items()
        if name is not None
    }


class CamelCaseParser(StrictJSONParser):
    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        fields: dict[str, Any] = snake_case_keys(super().parse(stream, media_type, parser_context))
        return fields


class CamelCaseRenderer(JSONRenderer):
    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return super().render(camel_case_keys(data), accepted_media_type, renderer_context)


class CamelCaseSchema(ApiSchema):
    """Document a shared view with camelCase fields and parameters."""

    def get_description(self) -> str:  # type: ignore[override]
        return _renamed_fields(super().get_description())

    def _map_serializer(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer(serializer, direction, bypass_extensions)  # type: ignore[no-untyped-call]
        if "properties" in schema:
            schema["properties"] = {to_camel_case(name): field for name, field in schema["properties"].items()}
        if "required" in schema:
            schema["required"] = [to_camel_case(name) for name in schema["required"]]
        if "description" in schema:
            schema["description"] = _renamed_fields(schema["description"])
        return schema


def _renamed_fields(text: str) -> str:
    """Fields that a docstring names stand between double backticks; values such as error codes have single ones."""
    return re.sub(r"``(\w+)``", lambda match: f"``{to_camel_case(match[1])}``", text)


class CamelCaseView(APIView):
    """Mixed in before a shared view by :func:`camel_case_view`."""

    parser_classes = (CamelCaseParser,)
    renderer_classes = (CamelCaseRenderer,)
    schema = CamelCaseSchema()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        renamed = QueryDict(mutable=True)
        for key, values in request.GET.lists():
            if name := to_snake_case(key):
                renamed.setlist(name, values)
        request.GET = renamed  # type: ignore[assignment]
        return super().initialize_request(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """The same refusal; its ``errors`` name fields as the caller wrote them."""
        match exc:
            case ValidationError():
                exc = ValidationError({_renamed_path(path): texts for path, texts in flatten_errors(exc.detail)})
            case DomainError() if exc.errors:
                exc.errors = {_renamed_path(path): texts for path, texts in exc.errors.items()}
        return super().handle_exception(exc)


def camel_case_view(view: type[APIView]) -> Callable[..., Any]:
    """Return a shared view in camelCase for a URL conf."""
    return type(view.__name__, (CamelCaseView, view), {}).as_view()  # type: ignore[attr-defined,no-any-return]


def _renamed_path(path: str) -> str:
    """``social_links.my_site`` as ``socialLinks.my_site``: the second part is a name that a user chose."""
    name, dot, rest = path.partition(".")
    return to_camel_case(name) + dot + (rest if name in FREE_FORM_MAPS or not dot else _renamed_path(rest))
