"""What a mailed link would confirm, and the other answer to it: "this was not me".

Anybody can type anybody's address. Its owner is told whose account a link would confirm, and can have it removed instead.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import Deletion, OneTimeToken, User
from saas.accounts.personal_data import erased_email
from saas.accounts.privacy import data_sources
from saas.accounts.sessions import long_lived_credentials
from saas.accounts.sessions.logins import end_sessions
from saas.audit.actions import record
from saas.mail.models import Mail
from saas.mail.rendering import harmless


@dataclass(frozen=True)
class VerificationPreview:
    """``email`` is what a link would confirm. The account is named by what its holder typed: a name that holds a link or
    is long is left out. The address of an account that is to be changed is masked: the reader may be a stranger to it."""

    is_change: bool
    email: str
    full_name: str
    account_email: str
    registered_at: datetime


def preview_verification(token: str) -> VerificationPreview:
    """Whose account a link would confirm. Changes nothing. Raises ``OneTimeTokenInvalid``."""
    proof = one_time_tokens.find_one_time_token(token, OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.CHANGE)
    is_change = proof.purpose == OneTimeToken.Purpose.CHANGE
    return VerificationPreview(
        is_change=is_change,
        email=proof.email,
        full_name=harmless(proof.user.full_name),
        account_email=_masked(proof.user.email) if is_change else proof.user.email,
        registered_at=proof.user.created_at,
    )


def _masked(email: str) -> str:
    name, _, domain = email.rpartition("@")
    return f"{name[:1]}…@{domain}"


def report_unrecognized(token: str) -> bool:
    """The reader of the mailbox says that it was not her. Tells whether an account was removed.

    A registration that nobody confirmed is removed at once, and its address is free; a change to the address is called
    off. Raises ``OneTimeTokenInvalid``, and the refusals of apps in which the account pays for something.
    """
    proof = one_time_tokens.find_one_time_token(token, OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.CHANGE)
    with transaction.atomic():
        one_time_tokens.consume_one_time_token(proof)
        if proof.purpose == OneTimeToken.Purpose.CHANGE:
            record("email.change_disowned", target=proof.user.id)
            return False
        _remove(proof)
    return True


def _remove(proof: OneTimeToken) -> None:
    """Like an erasure after 14 days, but now. What came to the address for its owner, such as an invitation, stays."""
    now, user = timezone.now(), proof.user
    unconfirmed = User.objects.filter(
        pk=user.pk, email=proof.email, email_verified_at=None, status=User.Status.ACTIVE, is_staff=False
    )
    if not unconfirmed.update(status=User.Status.DELETED, token_epoch=F("token_epoch") + 1, updated_at=now):
        raise one_time_tokens.OneTimeTokenInvalid
    data_sources.require_no_payments(user)
    end_sessions(user)
    long_lived_credentials.revoke_long_lived_credentials(user, by=user.id, because="disowned")
    Mail.objects.filter(recipient=user.email, status=Mail.Status.SENT).delete()
    OneTimeToken.objects.filter(
        user=user
    ).delete()  # a used one would say that all mails to the address are this person's
    User.objects.filter(pk=user.pk).update(
        email=erased_email(user), email_canonical=canonical_email(erased_email(user))
    )
    user.refresh_from_db()
    Deletion.objects.create(user=user, requested_at=now, due_at=now, erased_at=now)
    data_sources.erase_personal_data(user)
    record("user.disowned", target=user.id)
