"""Links that are mailed: issued as random tokens, stored hashed, used once."""

import secrets
from datetime import timedelta

from django.utils import timezone

from saas.accounts.models import Proof, User
from saas.accounts.sessions.tokens import hashed
from saas.errors import DomainError

LIFE = {
    Proof.Purpose.RESET: timedelta(minutes=30),
    Proof.Purpose.VERIFY: timedelta(hours=24),
    Proof.Purpose.CHANGE: timedelta(hours=24),
    Proof.Purpose.KEEP: timedelta(days=14),
}
STAFF_RESET_LIFE = timedelta(minutes=15)
_BOUND_TO_EPOCH = {Proof.Purpose.RESET, Proof.Purpose.CHANGE}


class ProofInvalid(DomainError):
    code, title, status = "link_invalid", "This link is not valid, or not any more. Ask for a new one.", 400


def issue(user: User, purpose: Proof.Purpose, *, email: str = "") -> str:
    """A new token; whoever has it reads ``email`` (the account's own, if none is given). Call it inside the action."""
    raw = f"{purpose}_{secrets.token_urlsafe(32)}"
    now = timezone.now()
    is_staff_reset = user.is_staff and purpose == Proof.Purpose.RESET
    Proof.objects.create(
        token_hash=hashed(raw),
        purpose=purpose,
        user=user,
        email=email or user.email,
        epoch=user.token_epoch if purpose in _BOUND_TO_EPOCH else None,
        created_at=now,
        expires_at=now + (STAFF_RESET_LIFE if is_staff_reset else LIFE[purpose]),
    )
    return raw


def find(raw: str, *purposes: Proof.Purpose) -> Proof:
    """The usable proof, not used up. Raises ``ProofInvalid``, whatever is wrong."""
    proof = Proof.objects.usable(timezone.now()).filter(token_hash=hashed(raw), purpose__in=purposes).first()
    if proof is None:
        raise ProofInvalid
    return proof


def use(proof: Proof) -> None:
    """Use it up. Raises ``ProofInvalid`` if somebody was faster, or the account has moved on meanwhile."""
    now = timezone.now()
    current = Proof.objects.usable(now).filter(pk=proof.pk).values("pk")
    if not Proof.objects.filter(pk__in=current, used_at=None).update(used_at=now):
        raise ProofInvalid
