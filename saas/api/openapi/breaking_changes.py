"""Find breaking changes between two OpenAPI documents.

A client may send what it sent before and must understand all that it gets. So what it *sends* may not be narrowed (a new
required field, a type, a bound, a value less) and what it *gets* may not be widened (a field less or null, a value more).
"""

from collections.abc import Iterator, Mapping
from typing import Any

UPPER_BOUNDS = ("maxLength", "maximum", "maxItems")
LOWER_BOUNDS = ("minLength", "minimum", "minItems")
_BAD_REQUEST = 400
_VARIANTS = ("oneOf", "anyOf")


def find_breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each change in ``new`` that breaks clients of ``old``, sorted."""
    return sorted(set(_Comparison(old, new).operations()))


class _Comparison:
    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self.old = old
        self.new = new
        self.seen: set[tuple[str, str, bool]] = set()  # pairs of references being compared: schemas may be recursive

    def operations(self) -> Iterator[str]:
        for path, methods in self.old["paths"].items():
            for method, old in methods.items():
                where = f"{method.upper()} {path}"
                new = self.new["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{where}: is gone"
                else:
                    self.seen.clear()
                    yield from self._operation(where, old, new)

    def _operation(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        if old["operationId"] != new["operationId"]:
            yield f"{where}: operation id {old['operationId']} is {new['operationId']}"
        if not old.get("security") and new.get("security"):
            yield f"{where}: asks for credentials"
        yield from self._parameters(where, old, new)
        yield from self._body(where, old.get("requestBody") or {}, new.get("requestBody") or {})
        yield from self._answers(where, old["responses"], new["responses"])

    def _parameters(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        before, after = (
            {
                (one["in"], one["name"]): one
                for one in (_followed(node, document) for node in side.get("parameters", []))
            }
            for side, document in ((old, self.old), (new, self.new))
        )
        for key, parameter in before.items():
            if key not in after:
                yield f"{where}: {key[0]} parameter {key[1]} is gone"
            else:
                yield from self._schema(f"{where} {key[1]}", parameter["schema"], after[key]["schema"], is_sent=True)
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{where}: {key[0]} parameter {key[1]} must be sent"

    def _body(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{where}: a body must be sent"
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: takes no {kind}"
            else:
                after = new["content"][kind].get("schema", {})
                yield from self._schema(f"{where} takes", content.get("schema", {}), after, is_sent=True)

    def _answers(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        """Compare successes only: all refusals have one form, so a client copes with another one."""
        for status, answer in old.items():
            if status == "default" or int(status) >= _BAD_REQUEST:
                continue
            if status not in new:
                yield f"{where}: answers no {status}"
                continue
            after = _followed(new[status], self.new).get("content", {})
            for kind, content in _followed(answer, self.old).get("content", {}).items():
                if kind not in after:
                    yield f"{where}: {status} is no {kind}"
                else:
                    before, now = content.get("schema", {}), after[kind].get("schema", {})
                    yield from self._schema(f"{where} answers", before, now, is_sent=False)

    def _schema(self, where: str, old: Any, new: Any, *, is_sent: bool) -> Iterator[str]:
        pair = (str(old.get("$ref")), str(new.get("$ref")), is_sent)
        if "$ref" in old and "$ref" in new:
            if pair in self.seen:
                return
            self.seen.add(pair)
        old, new = _followed(old, self.old), _followed(new, self.new)
        if _kind(old) != _kind(new):
            yield f"{where}: {_kind(old)} is {_kind(new)}"
            return
        yield from _values(where, old, new, is_sent=is_sent)
        yield from self._fields(where, old, new, is_sent=is_sent)
        for part in ("items", "additionalProperties"):
            if isinstance(old.get(part), dict) and isinstance(new.get(part), dict):
                yield from self._schema(f"{where}[]", old[part], new[part], is_sent=is_sent)
        yield from self._variants(where, old, new, is_sent=is_sent)

    def _fields(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any], *, is_sent: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, field in before.items():
            if name not in after:
                yield f"{where}: {name} is gone"
            else:
                yield from self._schema(f"{where} {name}", field, after[name], is_sent=is_sent)
        duties = set(new.get("required", [])) - set(old.get("required", []))
        lapsed = (set(old.get("required", [])) - set(new.get("required", []))) & set(after)
        yield from (f"{where}: {name} must be sent" for name in duties if is_sent)
        yield from (f"{where}: {name} may be absent" for name in lapsed if not is_sent)

    def _variants(self, where: str, old: Mapping[str, Any], new: Mapping[str, Any], *, is_sent: bool) -> Iterator[str]:
        """Variants are matched by name; one without a name by its position."""
        for word in _VARIANTS:
            before, after = ({_name(one, at): one for at, one in enumerate(side.get(word, []))} for side in (old, new))
            for name in before.keys() & after.keys():
                yield from self._schema(f"{where} {name}", before[name], after[name], is_sent=is_sent)
            lost, added = before.keys() - after.keys(), after.keys() - before.keys()
            yield from (f"{where}: {name} is gone" for name in lost if is_sent)
            yield from (f"{where}: may be {name}" for name in added if not is_sent)


def _followed(node: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Resolve ``$ref``, also where drf-spectacular wraps it in ``allOf`` to add a description."""
    if len(node.get("allOf", [])) == 1:
        return {**_followed(node["allOf"][0], document), **{key: node[key] for key in node if key != "allOf"}}
    if "$ref" not in node:
        return node
    target: Any = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return _followed(target, document)


def _kind(schema: Mapping[str, Any]) -> str:
    words = [schema.get("type", "anything"), schema.get("format", "")]
    return next((word for word in _VARIANTS if word in schema), " ".join(word for word in words if word))


def _values(where: str, old: Mapping[str, Any], new: Mapping[str, Any], *, is_sent: bool) -> Iterator[str]:
    was_nullable, is_nullable = bool(old.get("nullable")), bool(new.get("nullable"))
    if was_nullable != is_nullable and was_nullable == is_sent:
        yield f"{where}: may not be null" if is_sent else f"{where}: may be null"
    yield from _choices(where, old.get("enum"), new.get("enum"), is_sent=is_sent)
    yield from _bounds(where, old, new) if is_sent else ()


def _choices(where: str, old: list[Any] | None, new: list[Any] | None, *, is_sent: bool) -> Iterator[str]:
    if is_sent and new is not None:
        gone = [value for value in old or [] if value not in new]
        yield from (f"{where}: {value!r} is not taken" for value in gone)
        if old is None:
            yield f"{where}: takes only {new}"
    if not is_sent and old is not None:
        added = [value for value in new or [] if value not in old]
        yield from (f"{where}: may be {value!r}" for value in added)
        if new is None:
            yield f"{where}: may be anything"


def _bounds(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in (*UPPER_BOUNDS, *LOWER_BOUNDS):
        before, after = old.get(name), new.get(name)
        if after is None or after == before or (name == "minLength" and after == 0):
            continue
        if before is None or (after < before) == (name in UPPER_BOUNDS):
            yield f"{where}: {name} is {after}"
    if new.get("pattern") not in {None, old.get("pattern")}:
        yield f"{where}: must match {new['pattern']}"


def _name(variant: Mapping[str, Any], place: int) -> str:
    return str(variant.get("$ref", f"variant {place}")).rpartition("/")[2]
