"""The OpenAPI documents are a promise: a change shows in the files, and one that breaks a client in the changelog, too."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from saas.api.openapi import schema_files
from saas.api.openapi.breaking_changes import find_breaking_changes
from saas.testing.openapi import SERVICES, openapi_document

CHANGELOG = Path(__file__).parent.parent / "docs" / "changelog.md"
REGISTER = ("/api/auth/register", "post")


@pytest.mark.guard
@pytest.mark.parametrize("service", SERVICES)
def test_the_document_that_is_kept_is_the_one_that_the_service_makes(service: str) -> None:
    breaks = find_breaking_changes(schema_files.read_document(service), openapi_document(service))

    assert schema_files.read_document(service) == openapi_document(service), (
        f"The schema of {service} has changed: run `python3 manage.py schema --write` and commit saas/docs/openapi."
        + "".join(f"\nBreaks clients, so it needs a line in saas/docs/changelog.md: {service} {one}" for one in breaks)
    )


def test_every_broken_promise_stands_in_the_changelog() -> None:
    untold = schema_files.undocumented_changes(CHANGELOG.read_text(encoding="utf-8"))

    assert untold == [], "These changes break clients; tell them in saas/docs/changelog.md, in these words."


# ── What breaks a client: each change to Product's document, and the sentence for it ────────────────────────────────


def operation(schema: dict[str, Any], path: str = REGISTER[0], method: str = REGISTER[1]) -> dict[str, Any]:
    return schema["paths"][path][method]


def component(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return schema["components"]["schemas"][name]


BREAKS: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("an operation is removed", lambda s: s["paths"].pop("/api/auth/csrf"), "GET /api/auth/csrf: is gone"),
    (
        "an operation is renamed",
        lambda s: operation(s).update(operationId="sign_up"),
        "POST /api/auth/register: operation id register is sign_up",
    ),
    (
        "a status is another",
        lambda s: operation(s)["responses"].update({"200": operation(s)["responses"].pop("201")}),
        "POST /api/auth/register: answers no 201",
    ),
    (
        "a field is removed from an answer",
        lambda s: component(s, "User")["properties"].pop("locale"),
        "GET /api/auth/me answers user: locale is gone",
    ),
    (
        "a field of an answer may be absent",
        lambda s: component(s, "User")["required"].remove("locale"),
        "GET /api/auth/me answers user: locale may be absent",
    ),
    (
        "a field of an answer may be null",
        lambda s: component(s, "User")["properties"]["locale"].update(nullable=True),
        "GET /api/auth/me answers user locale: may be null",
    ),
    (
        "a field of an answer has another type",
        lambda s: component(s, "User")["properties"]["locale"].update(type="integer"),
        "GET /api/auth/me answers user locale: string is integer",
    ),
    (
        "an answer has a value that nobody expects",
        lambda s: component(s, "User")["properties"]["status"]["enum"].append("asleep"),
        "GET /api/auth/me answers user status: may be 'asleep'",
    ),
    (
        "a field must be sent",
        lambda s: component(s, "RegisterRequest")["required"].append("full_name"),
        "POST /api/auth/register takes: full_name must be sent",
    ),
    (
        "a field is not taken any more",
        lambda s: component(s, "RegisterRequest")["properties"].pop("full_name"),
        "POST /api/auth/register takes: full_name is gone",
    ),
    (
        "a value is not taken any more",
        lambda s: component(s, "ProfileRequest")["properties"]["visibility"]["enum"].remove("private"),
        "PUT /api/users/profile takes visibility: 'private' is not taken",
    ),
    (
        "a text must be shorter",
        lambda s: component(s, "RegisterRequest")["properties"]["full_name"].update(maxLength=20),
        "POST /api/auth/register takes full_name: maxLength is 20",
    ),
    (
        "a parameter must be sent",
        lambda s: operation(s, "/api/auth/sessions", "get")["parameters"][0].update(required=True),
        "GET /api/auth/sessions: query parameter cursor must be sent",
    ),
    (
        "credentials are asked for",
        lambda s: operation(s).update(security=[{"bearer": []}]),
        "POST /api/auth/register: asks for credentials",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in BREAKS], ids=[case[0] for case in BREAKS])
def test_a_change_that_breaks_a_client_is_found(change: Callable[[dict[str, Any]], object], sentence: str) -> None:
    changed = deepcopy(openapi_document("product"))
    change(changed)

    assert sentence in find_breaking_changes(openapi_document("product"), changed)


OFFERS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("an operation more", lambda s: s["paths"].update({"/api/new": {"get": {"operationId": "new", "responses": {}}}})),
    ("a field more in an answer", lambda s: component(s, "User")["properties"].update(nick={"type": "string"})),
    ("a field more that may be sent", lambda s: component(s, "RegisterRequest")["properties"].update(nick={})),
    ("a value more that is taken", lambda s: component(s, "ProfileRequest")["properties"]["visibility"]["enum"].append("x")),
    ("a longer text", lambda s: component(s, "RegisterRequest")["properties"]["email"].update(maxLength=999)),
    ("another description", lambda s: operation(s).update(summary="Sign up")),
    ("another refusal", lambda s: operation(s)["responses"].pop("409")),
]  # fmt: skip


@pytest.mark.parametrize("change", [case[1] for case in OFFERS], ids=[case[0] for case in OFFERS])
def test_a_change_that_every_client_survives_is_none(change: Callable[[dict[str, Any]], object]) -> None:
    changed = deepcopy(openapi_document("product"))
    change(changed)

    assert changed != openapi_document("product")
    assert find_breaking_changes(openapi_document("product"), changed) == []


def test_a_broken_promise_is_noted_and_waits_for_the_changelog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_files, "FOLDER", tmp_path)
    monkeypatch.setattr(schema_files, "BREAKING_CHANGES_FILE", tmp_path / "broken.txt")
    changed = deepcopy(openapi_document("product"))
    changed["paths"].pop("/api/auth/csrf")

    first = schema_files.write_document("product", openapi_document("product"))
    then = schema_files.write_document("product", changed)

    assert (first, then) == ([], ["product GET /api/auth/csrf: is gone"])
    assert json.loads((tmp_path / "product.json").read_text()) == changed
    assert schema_files.undocumented_changes("Nothing happened.") == then
    assert schema_files.undocumented_changes(f"- {then[0]}. Ask elsewhere.") == []


@pytest.mark.long
def test_the_command_makes_the_same_documents_as_the_tests() -> None:
    assert {service: schema_files.generate_document(service) for service in SERVICES} == {
        s: openapi_document(s) for s in SERVICES
    }
