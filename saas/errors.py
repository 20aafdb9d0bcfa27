"""Refusals of the domain. An action raises one; the API renders it as a problem document (RFC 9457).

A refusal is a class of three attributes above the action that raises it, and a line in ``saas/docs/errors.md``:

    class AlreadySubscribed(DomainError):
        code, title = "already_subscribed", "There is a live subscription already."  # 409
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class DomainError(Exception):
    """An action is refused by a rule.

    ``code`` is stable and machine-readable, ``title`` one sentence, ``status`` the HTTP status that fits.
    ``detail`` replaces the title for this occurrence; ``errors`` maps a field to its sentences;
    ``retry_after_seconds`` says when trying again makes sense.
    """

    code: ClassVar[str] = "conflict"
    title: ClassVar[str] = "A rule of this system does not allow this."
    status: ClassVar[int] = 409

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.detail = detail or self.title
        self.errors = errors
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is wrong, without the fields' names, which a page has labels for: of every field, else the detail."""
        by_field = (self.errors or {}).values()
        return tuple(sentence for sentences in by_field for sentence in sentences) or (self.detail,)


class NotFound(DomainError):
    """Absent, or not visible to the caller: both look alike."""

    code, title, status = "not_found", "Not found.", 404


class Invalid(DomainError):
    """Well-formed but not acceptable; ``errors`` maps fields to reasons."""

    code, title, status = "invalid", "Some fields are not valid.", 422


class Forbidden(DomainError):
    """The caller is authenticated but lacks the permission."""

    code, title, status = "forbidden", "You may not do this.", 403
