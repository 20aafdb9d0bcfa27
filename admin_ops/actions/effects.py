"""What a staff action would do, in sentences, before it is confirmed.

The form's page shows the effect, with a token that stands for it. Only with the token of that same effect is the action done;
else the page shows the new effect, and asks again: what was confirmed is what happens.
"""

from dataclasses import dataclass
from typing import Any

from django.core import signing

from admin_ops.actions.base import Effect, StaffAction
from admin_ops.actions.forms import ActionForm
from saas.errors import DomainError

SALT = "admin_ops.effect"
TOKEN_FIELD = "effect_token"
MAX_AGE_SECONDS = 900  # amounts by the day change slowly, but they do


@dataclass(frozen=True)
class ShownEffect:
    """``identity`` is what the token signs; empty where the action would be refused, or more has to be filled in first."""

    sentences: tuple[str, ...]
    identity: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        return signing.dumps(self.identity, salt=SALT) if self.identity else ""


def shown_effect(action: StaffAction, row: Any, form: ActionForm) -> ShownEffect:
    if action.effect is None:
        return ShownEffect(())
    if (arguments := form.arguments_so_far()) is None:
        return ShownEffect(("Fill in the form to see what exactly will happen.",))
    try:
        effect = action.effect(row, **arguments)
    except DomainError as refusal:
        return ShownEffect(refusal.sentences)
    return ShownEffect(effect.sentences, _identity(action, row, effect))


def is_confirmed(action: StaffAction, effect: ShownEffect, token: str) -> bool:
    """Return whether ``token`` was signed for exactly this effect, within ``MAX_AGE_SECONDS``."""
    if action.effect is None:
        return True
    try:
        confirmed = signing.loads(token, salt=SALT, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature:
        return False
    return bool(effect.identity) and confirmed == list(effect.identity)


def _identity(action: StaffAction, row: Any, effect: Effect) -> tuple[str, ...]:
    return action.name, str(row.pk) if row else "", effect.identity or " ".join(effect.sentences)
