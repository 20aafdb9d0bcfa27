"""The convention holds for every field that the shared views will ever take or give: the schema says which."""

import json

import pytest

from parity.camel_case import (
    FREE_FORM_MAPS,
    OAUTH_NAMES,
    camel_case_keys,
    snake_case_keys,
    to_camel_case,
    to_snake_case,
)
from saas.testing.clients import ServiceClient


@pytest.fixture
def properties(parity: ServiceClient) -> dict[str, dict]:
    """Every property of every schema that the contract's operations refer to, by its name."""
    schema = json.loads(parity.get("/openapi.json").content)
    pending = [methods for path, methods in schema["paths"].items() if "health" not in path]
    found, seen = {}, set()
    while pending:
        for reference in _references(pending.pop()) - seen:
            seen.add(reference)
            kind, name = reference.split("/")[-2:]
            pending.append(schema["components"][kind][name])
            if kind == "schemas" and name != "Problem":
                found |= schema["components"][kind][name].get("properties", {})
    return found


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in value.values()))
    return set().union(*(_references(item) for item in value)) if isinstance(value, list) else set()


def test_all_fields_but_those_of_oauth_are_documented_in_camel_case(properties) -> None:
    assert {"fullName", "sessionId", "displayName", "csrfToken"} <= set(properties)
    assert {name for name in properties if "_" in name} == OAUTH_NAMES


def test_every_name_finds_its_way_back(properties) -> None:
    assert [name for name in properties if to_camel_case(to_snake_case(name) or "") != name] == []


def test_every_map_with_names_of_a_persons_choice_is_listed(properties) -> None:
    maps = {name for name, field in properties.items() if "additionalProperties" in field}

    assert maps == {to_camel_case(name) for name in FREE_FORM_MAPS}


def test_names_change_at_every_depth_and_values_never() -> None:
    given = {"userId": "user_id", "rows": [{"createdAt": 1, "socialLinks": {"a_b": {"c_d": 1}}}], "expires_in": None}
    known = {"user_id": "user_id", "rows": [{"created_at": 1, "social_links": {"a_b": {"c_d": 1}}}], "expires_in": None}

    assert snake_case_keys(given) == known
    assert camel_case_keys(known) == given


def test_a_name_of_the_other_convention_is_dropped_at_every_depth() -> None:
    assert snake_case_keys({"user_id": 1, "rows": [{"created_at": 1, "token_type": 2, "expiresIn": 3}]}) == {
        "rows": [{"token_type": 2}]
    }


def test_what_is_said_of_a_field_names_it_as_it_is_sent(parity: ServiceClient) -> None:
    schema = json.loads(parity.get("/openapi.json").content)

    logout, change = (
        schema["paths"]["/auth/logout-all"]["post"],
        schema["components"]["schemas"]["ChangePasswordRequest"],
    )
    assert "``revokeCredentials``" in logout["description"]
    assert change["description"].startswith("``currentPassword`` may be left out")
