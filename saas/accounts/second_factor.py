"""The second factor (MFA): TOTP codes (RFC 6238), ten recovery codes, and the second step of a login.

The TOTP secret is stored encrypted under its own key. A code works once. Of fifty concurrent guesses five are checked.
"""

import hmac
import secrets
import time
from dataclasses import dataclass

import pyotp
import segno
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts.models import Audience, LoginSession, PendingLogin, RecoveryCode, Totp, User
from saas.accounts.passwords import login_throttle
from saas.accounts.sessions.logins import InvalidCredentials, Login, end_sessions, open_session
from saas.accounts.sessions.tokens import hash_token
from saas.accounts.staff.staff_pages import mail_values
from saas.audit.actions import record
from saas.errors import DomainError, Invalid
from saas.mail.actions import queue_mail
from saas.security.encryption import decrypt, encrypt, encrypted_at
from saas.text_normalization import normalize_code

STEP_SECONDS = 30
STEPS_OF_DRIFT = 1
SETUP_LIFETIME_SECONDS = 15 * 60
MAX_TRIES = 5
RECOVERY_CODES = 10
_CODE_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no characters that look alike
_CODE_LENGTH = 16  # 79 bits
METHOD = "otp"


class SecondFactorEnabled(DomainError):
    code, title = "mfa_enabled", "A second factor is on already. Turn it off first."  # 409


class SecondFactorNotEnabled(DomainError):
    code, title = "mfa_not_enabled", "There is no second factor to do this with."  # 409


class PendingLoginInvalid(DomainError):
    code, title, status = "mfa_token_invalid", "This login is over. Begin again.", 401


class WrongCode(DomainError):
    code, title, status = "invalid_code", "This code is not right.", 401


class EnrolmentRequired(DomainError):
    code, title, status = "mfa_enrolment_required", "Set up a second factor first.", 403


@dataclass(frozen=True)
class TotpSetup:
    """What an authenticator app needs: the secret, the ``otpauth`` URI, and the URI as a QR code (SVG)."""

    secret: str
    uri: str
    qr_svg: str


@dataclass(frozen=True)
class SecondFactorStatus:
    enabled: bool
    recovery_codes_left: int


def second_factor_status(user: User) -> SecondFactorStatus:
    left = RecoveryCode.objects.filter(user=user, used_at=None).count()
    return SecondFactorStatus(Totp.objects.confirmed(user.id).exists(), left)


@transaction.atomic
def begin_totp_setup(user: User) -> TotpSetup:
    """Store a new secret, which has no effect until a code confirms it. Raises ``SecondFactorEnabled``."""
    if Totp.objects.confirmed(user.id).exists():
        raise SecondFactorEnabled
    secret = pyotp.random_base32()
    _store(user, encrypt(secret, secret=settings.MFA_KEY))
    return _setup(user, secret)


def unconfirmed_setup(user: User) -> TotpSetup:
    """Return the setup that waits for its first code. Raises ``SecondFactorNotEnabled``; a confirmed secret is never shown."""
    return _setup(user, _secret_of(_waiting_setup(user)))


def _waiting_setup(user: User) -> Totp:
    """Return the row that waits for its first code. Raises ``SecondFactorNotEnabled`` if none does, or for too long: who finds a
    device unlocked reads no secret that its owner once began with, and turns nothing on with it."""
    row = Totp.objects.filter(user=user, confirmed_at=None).first()
    if row is None or _is_left(row):
        raise SecondFactorNotEnabled
    return row


def _is_left(row: Totp) -> bool:
    return time.time() - encrypted_at(row.sealed_secret, secrets=_keys()) > SETUP_LIFETIME_SECONDS


def delete_left_setups() -> None:
    """Delete the setups that no code can confirm any more."""
    left = [row.pk for row in Totp.objects.filter(confirmed_at=None) if _is_left(row)]
    Totp.objects.filter(pk__in=left, confirmed_at=None).delete()


def _setup(user: User, secret: str) -> TotpSetup:
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=settings.BRAND_NAME)
    return TotpSetup(secret, uri, segno.make(uri, error="m").svg_inline(scale=4))


def _secret_of(row: Totp) -> str:
    return decrypt(row.sealed_secret, secrets=_keys())


def _keys() -> list[str]:
    return [settings.MFA_KEY, *settings.MFA_KEY_FALLBACKS]


def _store(user: User, sealed: str) -> None:
    """Never overwrite a secret that was confirmed meanwhile: its owner would be locked out."""
    waiting = Totp.objects.filter(user=user, confirmed_at=None)
    if waiting.update(sealed_secret=sealed, last_step=0):
        return
    _, created = Totp.objects.get_or_create(user=user, defaults={"sealed_secret": sealed})
    if not created:
        raise SecondFactorEnabled


def confirm_totp_setup(session: LoginSession, code: str) -> tuple[Login, list[str]]:
    """Turn the second factor on, end every session, and return a new login and the recovery codes, which are shown only once.

    Raises ``SecondFactorNotEnabled`` if no setup was begun in the last minutes, ``Invalid`` for a wrong code,
    ``TooManyAttempts``.
    """
    user = _user_of(session)
    _waiting_setup(user)
    login_throttle.count_attempt(login_throttle.session_key(session))
    with transaction.atomic():
        if not _use_code(user, code):
            raise Invalid(errors={"code": ["This code is not right."]})
        if not Totp.objects.filter(user=user, confirmed_at=None).update(confirmed_at=timezone.now()):
            raise SecondFactorEnabled
        login_throttle.reset_attempts(login_throttle.session_key(session))
        codes = _new_codes(user)
        return _end_sessions_and_log_in(session, user, f"{_first_methods(session)} {METHOD}", "mfa.enabled"), codes


@transaction.atomic
def disable_second_factor(session: LoginSession) -> Login:
    """Turn the second factor off, end every session and return a new login. Call ``require_recent_login`` first.

    Raises ``SecondFactorNotEnabled``.
    """
    user = _user_of(session)
    remove_second_factor(user)
    return _end_sessions_and_log_in(session, user, _first_methods(session), "mfa.disabled")


def remove_second_factor(user: User) -> None:
    """Delete secret and codes, inside the caller's transaction. Raises ``SecondFactorNotEnabled``."""
    if not Totp.objects.confirmed(user.id).delete()[0]:
        raise SecondFactorNotEnabled
    RecoveryCode.objects.filter(user=user).delete()


@transaction.atomic
def renew_recovery_codes(user: User) -> list[str]:
    """Replace the recovery codes by ten new ones. Raises ``SecondFactorNotEnabled``. Call ``require_recent_login`` first."""
    # Locked: of two renewals at once only the later one's codes work.
    if Totp.objects.confirmed(user.id).select_for_update().first() is None:
        raise SecondFactorNotEnabled
    record("mfa.recovery_codes_renewed", actor=user.id, target=user.id)
    codes = _new_codes(user)
    _mail(user, "mfa_recovery_codes_renewed", key=hash_token(codes[0]))
    return codes


def is_enrolment_required(session: LoginSession) -> bool:
    """Whether the session is of a member of staff without a second factor where staff must have one."""
    is_staff = session.audience == Audience.STAFF
    return is_staff and bool(settings.STAFF_MFA_REQUIRED) and METHOD not in session.methods.split()


def complete_login(mfa_token: str, *, audience: Audience, code: str = "", recovery_code: str = "") -> Login:
    """Complete a login by the second factor. Raises ``PendingLoginInvalid``, ``WrongCode``, ``TooManyAttempts``."""
    pending = _count_try(mfa_token, audience)
    user, key = pending.user, login_throttle.code_key(pending.user)
    login_throttle.count_attempt(key)
    with transaction.atomic():
        is_right = _use_code(user, code) if code else _use_recovery_code(user, recovery_code)
        if not is_right:
            raise WrongCode
        if not PendingLogin.objects.filter(pk=pending.pk, used_at=None).update(used_at=timezone.now()):
            raise PendingLoginInvalid
        login = open_session(user, methods=f"{pending.methods} {METHOD}", audience=audience)
    login_throttle.reset_attempts(key)
    return login


def _count_try(mfa_token: str, audience: Audience) -> PendingLogin:
    """Count a try before it is checked, in a statement that commits at once."""
    mine = PendingLogin.objects.filter(token_hash=hash_token(mfa_token), audience=audience, tries__lt=MAX_TRIES)
    won = mine.update(tries=F("tries") + 1)
    pending = PendingLogin.objects.usable(timezone.now()).filter(token_hash=hash_token(mfa_token)).first()
    if not won or pending is None:
        raise PendingLoginInvalid
    return pending


def _use_code(user: User, code: str) -> bool:
    """Use up ``code``: return whether it is of the current step or one next to it, and newer than the last one used."""
    row = Totp.objects.filter(user=user).first()
    if row is None:
        return False
    totp = pyotp.TOTP(_secret_of(row))
    typed = normalize_code(code).encode("ascii", "replace").decode()
    now = int(time.time()) // STEP_SECONDS
    for step in range(now - STEPS_OF_DRIFT, now + STEPS_OF_DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step), typed):
            return bool(Totp.objects.filter(user=user, last_step__lt=step).update(last_step=step))
    return False


def _use_recovery_code(user: User, code: str) -> bool:
    plain = normalize_code(code)
    mine = RecoveryCode.objects.filter(user=user, code_hash=hash_token(plain), used_at=None)
    used = bool(mine.update(used_at=timezone.now()))
    if used:
        left = RecoveryCode.objects.filter(user=user, used_at=None).count()
        record("mfa.recovery_code_used", actor=user.id, target=user.id, left=left)
        _mail(user, "recovery_code_used", key=hash_token(plain), left=str(left))
    return used


def _new_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user=user).delete()
    codes = ["".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, code_hash=hash_token(code)) for code in codes)
    return ["-".join(code[i : i + 4] for i in range(0, _CODE_LENGTH, 4)) for code in codes]


def _end_sessions_and_log_in(session: LoginSession, user: User, methods: str, action: str) -> Login:
    """End every session and token, and open a new session for the client that made the change."""
    if not User.objects.filter(pk=user.pk, token_epoch=user.token_epoch, status=User.Status.ACTIVE).update(
        token_epoch=F("token_epoch") + 1
    ):
        raise InvalidCredentials
    end_sessions(user)
    user.refresh_from_db()
    record(action, actor=user.id, target=user.id)
    _mail(user, action.replace(".", "_"), key=str(user.token_epoch))
    return open_session(user, methods=methods, audience=Audience(session.audience))


def _first_methods(session: LoginSession) -> str:
    return " ".join(method for method in session.methods.split() if method != METHOD)


def _user_of(session: LoginSession) -> User:
    if session.user is None:
        raise InvalidCredentials
    return session.user


def _mail(user: User, template: str, *, key: str, **more: str) -> None:
    queue_mail(
        template,
        to=user.email,
        locale=user.locale,
        context={**mail_values(user), **more},
        dedupe_key=f"{template}:{user.id}:{key}"[:200],
    )
