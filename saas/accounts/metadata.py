"""Metadata: texts under keys of their own choice that an adopter keeps on users and teams, within Stripe's bounds."""

from collections.abc import Collection, Iterator, Mapping

from saas.errors import DomainError, Invalid

MAX_KEYS = 50
MAX_KEY_LENGTH = 40
MAX_VALUE_LENGTH = 500
_BRACKETS = frozenset("[]")  # Stripe's SDKs write ``metadata[key]``


class MetadataReadOnly(DomainError):
    code, title, status = "metadata_read_only", "Only staff may change this key of the metadata.", 403


def merge_metadata(
    stored: Mapping[str, str], changes: Mapping[str, str], *, writable: Collection[str] | None = None
) -> dict[str, str]:
    """Return ``stored`` with ``changes``, as Stripe merges them: an empty value removes its key, other keys stay.

    ``writable`` are the keys that the caller may change; None for all. A value that stays as it is changes nothing, so
    that what was read may be sent back. Raises ``Invalid``, ``MetadataReadOnly``.
    """
    changed = {key: value for key, value in changes.items() if stored.get(key, "") != value}
    errors = {f"metadata.{key}": [fault] for key, value in changed.items() for fault in _faults(key, value)}
    if errors:
        raise Invalid(errors=errors)
    if writable is not None and (refused := sorted(changed.keys() - set(writable))):
        raise MetadataReadOnly(errors={f"metadata.{key}": [MetadataReadOnly.title] for key in refused})
    merged = {key: value for key, value in {**stored, **changed}.items() if value}
    if len(merged) > MAX_KEYS:
        raise Invalid(errors={"metadata": [f"Metadata has at most {MAX_KEYS} keys."]})
    return merged


def changed_keys(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The keys that were added, changed or removed, sorted."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def key_fault(key: str) -> str:
    """What is wrong with a key, as a sentence; empty if nothing is."""
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        return f"A key has 1 to {MAX_KEY_LENGTH} characters."
    return "A key has no square brackets." if _BRACKETS & set(key) else ""


def _faults(key: str, value: str) -> Iterator[str]:
    if fault := key_fault(key):
        yield fault
    elif len(value) > MAX_VALUE_LENGTH:
        yield f"A value has at most {MAX_VALUE_LENGTH} characters."
