"""Prove that an address is its owner's: by a mailed link, at registration and whenever the address changes.

The page behind the link shows whose account it would confirm (``preview_verification``) and offers the other answer, "this
was not me" (``report_unrecognized``): anyone can register with anyone's address.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.models import Deletion, OneTimeToken, User
from saas.accounts.one_time_tokens import (
    OneTimeTokenInvalid,
    consume_one_time_token,
    end_one_time_tokens,
    find_one_time_token,
    issue_one_time_token,
)
from saas.accounts.personal_data import erased_email
from saas.accounts.privacy.data_sources import erase_personal_data, require_no_payments
from saas.accounts.sessions.logins import end_sessions
from saas.accounts.sessions.long_lived_credentials import revoke_long_lived_credentials
from saas.accounts.sessions.tokens import hash_token
from saas.audit.actions import record
from saas.errors import DomainError
from saas.mail.actions import queue_mail
from saas.mail.models import Mail
from saas.mail.rendering import sanitize_user_text

PURPOSES = (OneTimeToken.Purpose.VERIFY, OneTimeToken.Purpose.CHANGE)


class EmailNotVerified(DomainError):
    code, title, status = "email_not_verified", "Confirm your e-mail address first.", 403


@dataclass(frozen=True)
class PreviewedAccount:
    """``full_name`` is empty where it holds a link or is long: a stranger may have typed it.

    For a change of address ``email`` is the account's present one, masked: the reader of the link may be a stranger.
    """

    full_name: str
    email: str
    registered_at: datetime


@dataclass(frozen=True)
class VerificationPreview:
    """``purpose`` is "verify" or "change"; ``email`` is the address that the link would confirm."""

    purpose: str
    email: str
    account: PreviewedAccount


@transaction.atomic
def send_verification(user: User) -> None:
    """Mail the link again; do nothing if the address is verified."""
    if not user.is_verified:
        token = issue_one_time_token(user, OneTimeToken.Purpose.VERIFY)
        _mail("verify_email", user, to=user.email, token=token, key=hash_token(token))


@transaction.atomic
def request_email_change(user: User, *, new_email: str) -> None:
    """Mail a link to the new address and a notice to the old one, which works until the link is used.

    The last request counts: the link to an address that was mistyped works no more. A taken address gets no mail, but the
    answer and the notice are the same: neither mailbox may reveal whether the new address has an account. Raises
    ``InvalidAddress``. Call ``require_recent_login`` first.
    """
    address, canonical = deliverable_email(new_email), canonical_email(new_email)
    end_one_time_tokens(user, OneTimeToken.Purpose.CHANGE)
    token = issue_one_time_token(user, OneTimeToken.Purpose.CHANGE, email=address)
    taken = User.objects.filter(email_canonical=canonical)
    if user.is_verified:  # else the mailbox is asked by its first link, whose page takes "this was not me"
        taken = taken.exclude(pk=user.pk)
    if not taken.exists():
        _mail("confirm_new_email", user, to=address, token=token, key=hash_token(token))
    _mail("email_change_requested", user, to=user.email, key=f"change_requested:{hash_token(token)}")
    record("email.change_requested", actor=user.id, target=user.id)


def preview_verification(token: str) -> VerificationPreview:
    """Show whose account a link would confirm. Change nothing. Raises ``OneTimeTokenInvalid``."""
    link = find_one_time_token(token, *PURPOSES)
    user, email = link.user, link.user.email
    if link.purpose == OneTimeToken.Purpose.CHANGE:
        name, _, domain = email.rpartition("@")
        email = f"{name[:1]}…@{domain}"
    return VerificationPreview(
        link.purpose, link.email, PreviewedAccount(sanitize_user_text(user.full_name), email, user.created_at)
    )


def verify_email(token: str) -> str:
    """Use a link of either purpose, and return the purpose. Raises ``OneTimeTokenInvalid``, also if the new address was taken
    meanwhile."""
    link = find_one_time_token(token, *PURPOSES)
    try:
        with transaction.atomic():
            consume_one_time_token(link)
            if link.purpose == OneTimeToken.Purpose.CHANGE:
                _change_email(link)
                return link.purpose
            now = timezone.now()
            mine = User.objects.filter(pk=link.user.pk, email=link.email, status=User.Status.ACTIVE)
            if not mine.update(email_verified_at=now, updated_at=now):
                raise OneTimeTokenInvalid
            record("email.verified", actor=link.user.id, target=link.user.id)
            return link.purpose
    except IntegrityError as error:
        raise OneTimeTokenInvalid from error


def _change_email(link: OneTimeToken) -> None:
    now, user = timezone.now(), link.user
    old = user.email
    # Links that confirm the old address would show the new one. Before the account, as a link that is used is locked before it.
    end_one_time_tokens(user, OneTimeToken.Purpose.VERIFY)
    changed = User.objects.filter(pk=user.pk, token_epoch=link.epoch).update(
        email=link.email,
        email_canonical=canonical_email(link.email),
        email_verified_at=now,
        token_epoch=F("token_epoch") + 1,
        updated_at=now,
    )
    if not changed:
        raise OneTimeTokenInvalid
    end_sessions(user)
    record("email.changed", actor=user.id, target=user.id)
    for address in (old, link.email):
        _mail("email_changed", user, to=address, key=f"email_changed:{link.pk}:{canonical_email(address)}"[:200])


def report_unrecognized(token: str) -> bool:
    """Record that the reader of the mailbox did not ask for this link. Return whether an account was removed.

    An unconfirmed registration is removed at once and its address becomes free; a change to the address is canceled.
    Raises ``OneTimeTokenInvalid``, and the refusals of apps in which the account pays for something.
    """
    link = find_one_time_token(token, *PURPOSES)
    with transaction.atomic():
        consume_one_time_token(link)
        if link.purpose == OneTimeToken.Purpose.CHANGE:
            record("email.change_disowned", target=link.user.id)
            return False
        _remove_unconfirmed_account(link)
    return True


def _remove_unconfirmed_account(link: OneTimeToken) -> None:
    """Do at once what an erasure does after 14 days. What was sent to the address for its owner, such as an invitation, stays."""
    now, user = timezone.now(), link.user
    unconfirmed = User.objects.filter(
        pk=user.pk, email=link.email, email_verified_at=None, status=User.Status.ACTIVE, is_staff=False
    )
    if not unconfirmed.update(status=User.Status.DELETED, token_epoch=F("token_epoch") + 1, updated_at=now):
        raise OneTimeTokenInvalid
    require_no_payments(user)
    end_sessions(user)
    revoke_long_lived_credentials(user, by=user.id, because="disowned")
    Mail.objects.filter(recipient=user.email, status=Mail.Status.SENT).delete()
    OneTimeToken.objects.filter(user=user).delete()  # a used one would count all mails to the address as this account's
    User.objects.filter(pk=user.pk).update(
        email=erased_email(user), email_canonical=canonical_email(erased_email(user))
    )
    user.refresh_from_db()
    Deletion.objects.create(user=user, requested_at=now, due_at=now, erased_at=now)
    erase_personal_data(user, action="user.disowned")


def _mail(template: str, user: User, *, to: str, key: str, token: str = "") -> None:
    queue_mail(
        template,
        to=to,
        locale=user.locale,
        context={"name": user.full_name},
        secrets={"token": token} if token else {},
        dedupe_key=f"{template}:{key}"[:200],
    )
