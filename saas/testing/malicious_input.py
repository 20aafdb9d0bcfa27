"""Malicious and malformed input for every field, parameter and body that a service documents."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from saas.testing.openapi import Operation

# JSON that cannot be read: 400 wherever a JSON object is expected, whatever the field.
MALFORMED_JSON = {
    "a NUL": b'"a\\u0000b"',
    "a raw NUL": b'"a\x00b"',
    "a lone surrogate": b'"\\ud800"',
    "a reversed pair of surrogates": b'"\\udc00\\ud800"',
    "bad UTF-8": b'"\xff\xfe"',
    "an overlong UTF-8 sequence": b'"\xc0\x80"',
    "UTF-8 of a surrogate": b'"\xed\xa0\x80"',
    "5000 digits": b"9" * 5000,
    "NaN": b"NaN",
    "minus infinity": b"-Infinity",
    "1e400": b"1e400",
    "a depth of 2000": b"[" * 2000 + b"]" * 2000,
    "a depth of 100000": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a list of 1000": b"[" + b"1," * 999 + b"1]",
}
# JSON that can be read: the literal, and the type of the fields that accept it.
TYPED_JSON = {
    "null": (b"null", "null"),
    "true": (b"true", "boolean"),
    "an empty list": (b"[]", "array"),
    "a list of strings": (b'["a"]', "array"),
    "an empty object": (b"{}", "object"),
    "an object of objects": (b'{"a": {"b": {"$ne": 1}}}', "object"),
    "2^63": (b"9223372036854775808", "integer"),
    "a thousand digits": (b"9" * 1000, "integer"),
    "minus one": (b"-1", "integer"),
    "a fraction": (b"1.5", "number"),
    "1e300": (b"1e300", "number"),
    "an empty string": (b'""', "string"),
    "right-to-left and zero width": ('"\u202eevil\u202c\u200b\u200d\ufeff"'.encode(), "string"),
    "a control character": (b'"\\u0001\\u001b[31m"', "string"),
    "a line break": (b'"a\\r\\nBcc: others@example.net"', "string"),
    "a character outside the basic plane": ('"\U0001f4a9"'.encode(), "string"),
    "20000 characters": (b'"' + b"a" * 20_000 + b'"', "string"),
    "a percent-encoded NUL": (b'"%00"', "string"),
    "SQL": (b'"\' OR 1=1; --"', "string"),
    "a template": (b'"{{7*7}}${7*7}%s%n{0.__class__}"', "string"),
}
BODIES = {
    "nothing": b"",
    "blank": b" ",
    "a list": b"[]",
    "null": b"null",
    "a string": b'"a"',
    "a number": b"1",
    "half an object": b"{",
    "two objects": b"{}{}",
    "a repeated key": b'{"a": 1, "a": 2}',
    "a NUL in a key": b'{"a\\u0000": 1}',
    "a lone surrogate in a key": b'{"\\ud800": 1}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-7": b"+AHsAIgBhACI-:1}",
}
CHARSETS = ("utf-7", "utf-16", "latin-1", "no-such-thing")
URL_VALUES = {
    "nothing": "",
    "a NUL": "%00",
    "a byte that is no UTF-8": "%ff",
    "UTF-8 of a surrogate": "%ed%a0%80",
    "half an escape": "%",
    "right-to-left and zero width": "%e2%80%ae%e2%80%8b",
    "a line break": "a%0d%0aSet-Cookie:%20a=b",
    "2^63": "9223372036854775808",
    "5000 digits": "9" * 5000,
    "minus one": "-1",
    "NaN": "NaN",
    "1e400": "1e400",
    "true": "true",
    "JSON": "%7B%22a%22%3A1%7D",
    "a way up": "..%2f..%2f",
    "10000 characters": "a" * 10_000,
}
HEADERS = {
    "nothing": "",
    "not ASCII": "\xe4\xff",
    "long": "a" * 5000,
    "control characters": "a\x01\x7f",
    "a comma": "a, a",
}


@dataclass(frozen=True)
class MaliciousRequest:
    """One malicious request.

    ``must_be_refused`` is set where no reading of the input makes it valid; ``invalid_fields`` must be named by a 422.
    """

    label: str
    url: str
    raw: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    must_be_refused: bool = False
    invalid_fields: frozenset[str] = frozenset()


def malicious_requests(operation: Operation, places: dict[str, str]) -> Iterator[MaliciousRequest]:
    """Yield every malicious request to ``operation``; ``places`` are valid values for its path parameters."""
    address, body = operation.url_for(places), _encoded(valid_body(operation))
    for name in operation.parameter_names("path"):
        for label, value in URL_VALUES.items():
            path = operation.url_for({**places, name: value})
            yield MaliciousRequest(f"{{{name}}}: {label}", path, body, must_be_refused=True)
    for name in operation.parameter_names("query"):
        for label, value in URL_VALUES.items():
            yield MaliciousRequest(f"?{name}: {label}", f"{address}?{name}={value}", body)
        yield MaliciousRequest(f"?{name}: twice", f"{address}?{name}=1&{name}=2", body)
        yield MaliciousRequest(f"?{name}: as a list", f"{address}?{name}[]=1&{name}[a]=2", body)
    for name in set(operation.parameter_names("header")) - {"X-Request-ID"}:
        for label, value in HEADERS.items():
            yield MaliciousRequest(f"{name}: {label}", address, body, headers={name: value})
    if operation.fields:
        yield from _in_body(operation, address)


def malformed_bodies(operation: Operation, address: str) -> Iterator[MaliciousRequest]:
    """Yield requests whose bodies are no JSON object in UTF-8."""
    must_fail = bool(operation.raw["requestBody"].get("required"))
    for label, raw in BODIES.items():
        yield MaliciousRequest(f"body: {label}", address, raw, must_be_refused=must_fail or bool(raw.strip()))
    for charset in CHARSETS:
        yield MaliciousRequest(
            f"body: {charset}", address, b"{}", f"application/json; charset={charset}", must_be_refused=True
        )


def valid_body(operation: Operation) -> dict[str, Any]:
    """Return a body that fits the schema, so that one malicious field at a time is what is wrong with it."""
    return {name: _good(name, schema) for name, schema in operation.fields.items()}


def _in_body(operation: Operation, address: str) -> Iterator[MaliciousRequest]:
    yield from malformed_bodies(operation, address)
    first = next(iter(operation.fields))  # the parser reads the whole body, whichever field is malformed
    for label, literal in MALFORMED_JSON.items():
        yield MaliciousRequest(f"{first}: {label}", address, _with(operation, {first}, literal), must_be_refused=True)
    for label, (literal, kind) in TYPED_JSON.items():
        yield from _typed(operation, address, label, literal, kind)


def _typed(operation: Operation, address: str, label: str, literal: bytes, kind: str) -> Iterator[MaliciousRequest]:
    """Send the literal in each field that accepts its type, one at a time, and at once in all that do not."""
    accepting = [name for name, schema in operation.fields.items() if _takes(schema, kind)]
    for name in accepting:
        yield MaliciousRequest(f"{name}: {label}", address, _with(operation, {name}, literal))
    if others := operation.fields.keys() - accepting:
        body = _with(operation, others, literal)
        yield MaliciousRequest(
            f"{sorted(others)}: {label}", address, body, must_be_refused=True, invalid_fields=frozenset(others)
        )


def _with(operation: Operation, names: Collection[str], literal: bytes) -> bytes:
    body = {name: "\uffff" if name in names else value for name, value in valid_body(operation).items()}
    return _encoded(body).replace(_encoded("\uffff"), literal)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _takes(schema: dict[str, Any], kind: str) -> bool:
    wanted = schema.get("type")
    if wanted is None or (kind == "null" and schema.get("nullable")):
        return True
    return kind == wanted or (wanted == "number" and kind == "integer")


def _good(name: str, schema: dict[str, Any]) -> Any:
    known = {"email": "customer@example.net", "password": "correct horse battery staple", "timezone": "UTC"}
    if name in known or "example" in schema:
        return known.get(name, schema.get("example"))
    if "enum" in schema:
        return schema["enum"][0]
    return {"boolean": True, "integer": schema.get("minimum", 1), "object": {}, "array": []}.get(
        schema.get("type", ""), "a good value"
    )
