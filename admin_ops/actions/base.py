"""The parts of a staff action."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from rest_framework.serializers import Serializer

from admin_ops.actions.forms import ActionForm, ReasonForm
from saas.accounts.models import LoginSession, User
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.rate_limits import RateLimit
from saas.errors import DomainError, Forbidden


@dataclass(frozen=True)
class ActionContext:
    """Who acts, from which login session, with which permissions."""

    user: User
    session: LoginSession
    permissions: frozenset[StaffPermission]

    def may(self, permission: StaffPermission) -> bool:
        return permission in self.permissions

    def require(self, permission: StaffPermission, detail: str = "Your role does not allow this.") -> None:
        if not self.may(permission):
            raise Forbidden(detail)


_LONGEST_NUMBER = 18  # digits; what a database's big integer surely holds


def as_row_number(text: str) -> int:
    """Return the key that a path names, of a table whose keys are numbers; 0, which none has, if it is no such number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else 0


@dataclass(frozen=True)
class Target:
    """The rows that an action is about: who may see them, and how the API finds one by the id in its path."""

    model: type[Model]
    view_permission: StaffPermission
    find: Callable[[str], Any | None]
    not_found: str = ""


@dataclass(frozen=True)
class ActionResult:
    """``message`` is shown in Django admin; ``result`` is what the endpoint represents."""

    message: str
    result: Any = None


@dataclass(frozen=True)
class Effect:
    """What an action would do, in sentences.

    The confirmation signs ``identity``, by default the sentences; set it where they contain an amount that changes with time.
    """

    sentences: tuple[str, ...]
    identity: str = ""


@dataclass(frozen=True)
class AuditLabel:
    """How a timeline shows the audit event ``action``: ``color`` of ``status_colors``, ``icon`` that of the staff action
    if empty."""

    action: str
    title: str
    color: str = ""
    icon: str = ""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The action in the API, below ``/api/admin/``.

    ``path`` has one parameter, the row's id; none if the action ``creates_a_row``.
    """

    path: str
    operation_id: str
    summary: str
    tag: str
    description: str = ""
    method: str = "post"
    body: type[Serializer[Any]] | None = None
    is_body_optional: bool = False
    status: int = 200
    response: type[Serializer[Any]] | None = None
    represent: Callable[[Any], dict[str, Any]] | None = None
    refusals: Sequence[type[DomainError]] = ()
    permission: StaffPermission | None = None  # where the API asks for less than the action's


@dataclass(frozen=True, kw_only=True)
class StaffAction:
    """``run(row, context, **input)`` calls the domain; the input is the endpoint's validated body or the form's.

    ``name`` stands in the page's address, ``label`` and ``icon`` (a Material Symbol) on its button. ``available_for``
    says on which rows the page offers it and takes it, ``unavailable`` why not on others; ``success_url`` says where the
    page leads afterwards, if not back to where the button was.
    One that ``needs_recent_login`` has its page ask for the password of an older login before the form; one that
    ``opens_a_tab`` shows its result beside the page that it was on.
    ``effect(row, **input)``, without the reason, says what exactly would happen, and is shown before it is confirmed.
    An action that ``creates_a_row`` is offered above the list of such rows; its ``row`` is ``None``, its result the new row.
    ``on_refusal`` is called with every refusal, missing permissions included.
    """

    name: str
    target: Target
    label: str
    icon: str
    description: str
    permission: StaffPermission
    run: Callable[..., ActionResult]
    form: type[ActionForm] = ReasonForm
    available_for: Callable[[Any], bool] = lambda row: True
    unavailable: str = "This cannot be done as things are now: it was done already, or the row has changed."
    is_destructive: bool = False
    is_bulk: bool = False
    creates_a_row: bool = False
    is_billing: bool = False
    needs_recent_login: bool = False
    opens_a_tab: bool = False
    audit: Sequence[AuditLabel] = ()
    success_url: Callable[[Any, ActionResult], str] | None = None
    effect: Callable[..., Effect] | None = None
    on_refusal: Callable[[Any, ActionContext, DomainError], None] | None = None
    limits: tuple[RateLimit, ...] = ()
    endpoint: Endpoint | None = None

    def perform(
        self,
        row: Any,
        context: ActionContext,
        read_input: Callable[[], dict[str, Any]],
        *,
        permission: StaffPermission | None = None,
    ) -> ActionResult:
        """Ask for the permission, then read the input, then run. Raises ``DomainError``."""
        try:
            context.require(permission or self.permission)
            return self.run(row, context, **read_input())
        except DomainError as refusal:
            if self.on_refusal:
                self.on_refusal(row, context, refusal)
            raise
