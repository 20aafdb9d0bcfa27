"""That an address is its owner's: proven by a mailed link, at first and whenever it changes."""

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.models import OneTimeToken, User
from saas.accounts.sessions import tokens
from saas.accounts.sessions.logins import end_sessions
from saas.audit.actions import record
from saas.errors import DomainError
from saas.mail.actions import post


class EmailNotVerified(DomainError):
    code, title, status = "email_not_verified", "Confirm your e-mail address first.", 403


@transaction.atomic
def send_verification(user: User) -> None:
    """Mail the link once more; nothing if the address is verified already."""
    if user.is_verified:
        return
    token = one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.VERIFY)
    _mail("verify_email", user, to=user.email, token=token, key=tokens.hash_token(token))


@transaction.atomic
def request_email_change(user: User, *, new_email: str) -> None:
    """Mail a link to the new address and a notice to the old one, which works until the link is used.

    A taken address is answered alike, gets no mail, and the notice goes out all the same: whoever asks must learn from
    neither mailbox whether somebody has an account. Raises ``InvalidAddress``. Ask ``require_recent_login`` first.
    """
    address = deliverable_email(new_email)
    token = one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.CHANGE, email=address)
    if not User.objects.filter(email_canonical=canonical_email(new_email)).exists():
        _mail("confirm_new_email", user, to=address, token=token, key=tokens.hash_token(token))
    _mail("email_change_requested", user, to=user.email, key=f"change_requested:{tokens.hash_token(token)}")
    record("email.change_requested", actor=user.id, target=user.id)


def verify_email(token: str) -> None:
    """Use a link of either kind. Raises ``OneTimeTokenInvalid``, also if the new address was taken meanwhile."""
    proof = one_time_tokens.find_one_time_token(token, OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.CHANGE)
    try:
        with transaction.atomic():
            one_time_tokens.consume_one_time_token(proof)
            if proof.purpose == OneTimeToken.Purpose.CHANGE:
                _change(proof)
            else:
                _verify(proof)
    except IntegrityError as error:
        raise one_time_tokens.OneTimeTokenInvalid from error


def _verify(proof: OneTimeToken) -> None:
    now = timezone.now()
    mine = User.objects.filter(pk=proof.user.pk, email=proof.email, status=User.Status.ACTIVE)
    if not mine.update(email_verified_at=now, updated_at=now):
        raise one_time_tokens.OneTimeTokenInvalid
    record("email.verified", actor=proof.user.id, target=proof.user.id)


def _change(proof: OneTimeToken) -> None:
    now, user = timezone.now(), proof.user
    old = user.email
    won = User.objects.filter(pk=user.pk, token_epoch=proof.epoch).update(
        email=proof.email,
        email_canonical=canonical_email(proof.email),
        email_verified_at=now,
        token_epoch=F("token_epoch") + 1,
        updated_at=now,
    )
    if not won:
        raise one_time_tokens.OneTimeTokenInvalid
    end_sessions(user)
    record("email.changed", actor=user.id, target=user.id)
    for address in (old, proof.email):
        _mail("email_changed", user, to=address, key=f"email_changed:{proof.pk}:{canonical_email(address)}"[:200])


def _mail(template: str, user: User, *, to: str, key: str, token: str = "") -> None:
    post(
        template,
        to=to,
        context={"name": user.full_name},
        secrets={"token": token} if token else {},
        dedupe_key=f"{template}:{key}"[:200],
    )
