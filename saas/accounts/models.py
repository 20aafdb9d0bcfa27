"""People, their profiles, and the sessions and tokens by which they are known."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group, PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from saas.accounts import proof_models  # noqa: F401  (Django looks for models here)
from saas.accounts.addresses import canonical
from saas.accounts.searching import known_as
from saas.errors import DomainError
from saas.fields import PrefixedIdField
from saas.ids import new_id
from saas.operations.statements import Given


class UserQuerySet(models.QuerySet["User"]):
    def by_email(self, email: str) -> User | None:
        """The account of an address, in whatever spelling; ``None`` also for what is no address."""
        try:
            return self.filter(email_canonical=canonical(email)).first()
        except DomainError:
            return None

    def customers(self) -> UserQuerySet:
        return self.filter(is_staff=False)

    def admins(self) -> UserQuerySet:
        """Staff who may do everything, and are there to do it."""
        holds_role = Exists(Group.objects.filter(user=OuterRef("pk"), name=Role.ADMIN))
        active = self.filter(is_staff=True, status=User.Status.ACTIVE)
        return active.filter(Q(is_superuser=True) | holds_role)

    def matching(self, search: str) -> UserQuerySet:
        """Part of the e-mail address or name, in any form of Unicode, or the exact id."""
        return self.filter(known_as(search))

    def listed(self, *, search: str = "", status: str = "") -> UserQuerySet:
        """Those that a list with these filters shows; an empty filter shows all."""
        rows = self.matching(search) if search else self.all()
        return rows.filter(status=status) if status else rows


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, username: str | None) -> User:
        if user := self.by_email(username or ""):
            return user  # type: ignore[no-any-return]
        raise User.DoesNotExist

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """For ``manage.py createsuperuser``."""
        user = User(email=email, is_staff=True, is_superuser=True, **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A customer or, with ``is_staff``, a member of staff: never both."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        DISABLED = "disabled"  # banned by staff
        DELETED = "deleted"

    id = PrefixedIdField(prefix="usr", primary_key=True)
    email = models.CharField(max_length=254, unique=True)  # as typed: what mail is sent to
    email_canonical = models.CharField(max_length=254, unique=True, editable=False)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    full_name = models.CharField(max_length=200, blank=True)
    locale = models.CharField(max_length=16, default="en")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    is_staff = models.BooleanField(default=False)
    token_epoch = models.PositiveIntegerField(default=0)  # a session of an earlier epoch is dead
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["status", "-id"], name="users_by_status"),
            models.Index(fields=["status"], name="people_by_status"),  # for counting: a tenth of the other's size
            models.Index(fields=["status"], condition=Q(is_staff=True), name="staff_by_status"),
            models.Index(
                fields=["status"], condition=Q(is_staff=False, email_verified_at=None), name="unverified_by_status"
            ),
            models.Index(fields=["created_at"], condition=Q(is_staff=False), name="customers_by_creation"),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email_canonical = canonical(self.email)
        super().save(*args, **kwargs)

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        return self.status == self.Status.ACTIVE

    @property
    def is_verified(self) -> bool:
        return self.email_verified_at is not None


class Profile(models.Model):
    """What a customer shows of herself."""

    class Visibility(models.TextChoices):
        PUBLIC = "public"
        TEAM = "team"
        PRIVATE = "private"

    user = models.OneToOneField(User, models.CASCADE, primary_key=True)
    display_name = models.CharField(max_length=100, blank=True)
    avatar_url = models.CharField(max_length=500, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    biography = models.CharField(max_length=2000, blank=True)
    social_links = models.JSONField(default=dict, blank=True)  # {"github": "https://…"}
    marketing_opt_in = models.BooleanField(default=False)
    visibility = models.CharField(max_length=16, choices=Visibility, default=Visibility.PRIVATE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.display_name or self.user_id


class Role(models.TextChoices):
    """What a member of staff is here for: the name of a Django group. What it allows stands in ``staff_roles``.

    Highest first: the order in which one person's roles are told.
    """

    ADMIN = "admin"
    SUPPORT_WRITE = "support-write"
    SUPPORT_READ = "support-read"
    AUDITOR = "auditor"


class UserNote(models.Model):
    """What a member of staff wrote down about a person, for the next one who opens her page. Never changed; she herself
    reads it only if she asks for everything that we hold about her."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notes")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    text = models.CharField(max_length=4000)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.text[:80]


class Audience(models.TextChoices):
    """Who a session or token is for: the two never open each other's doors."""

    CUSTOMER = "saas"  # Product and Parity
    STAFF = "saas-admin"  # Admin ops and the operator API of Webhooks


def new_session_id() -> str:
    return new_id("ses")


class LoginSessionQuerySet(models.QuerySet["LoginSession"]):
    def live(self, now: datetime | Given | None = None) -> LoginSessionQuerySet:
        """Not revoked, not past its end, of its user's current epoch, and of a user who may be here."""
        return self.filter(
            revoked_at=None,
            ends_at__gt=now or timezone.now(),
            epoch=F("user__token_epoch"),
            user__status=User.Status.ACTIVE,
        ).select_related("user")


class LoginSession(AbstractBaseSession):
    """One login on one device. The cookie and every token of that login point to this row, and die with it.

    ``session_key`` is a keyed hash of the cookie: the row does not tell what to send. ``user`` is null for a visitor
    whom Django's session framework remembers before login.
    """

    session_key = models.CharField(max_length=64, primary_key=True)
    sid = models.CharField(max_length=40, unique=True, default=new_session_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="sessions")
    audience = models.CharField(max_length=16, choices=Audience, default=Audience.CUSTOMER)
    epoch = models.PositiveIntegerField(default=0)
    methods = models.CharField(max_length=64, blank=True)  # RFC 8176 values, spaces between: "pwd otp"
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    authenticated_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()  # absolute; ``expire_date`` is when an idle cookie dies
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = LoginSessionQuerySet.as_manager()  # type: ignore[assignment,misc]

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "-created_at"], name="sessions_of_user"),
            models.Index(
                fields=["last_seen_at", "user"], condition=Q(audience=Audience.CUSTOMER), name="customers_last_seen"
            ),
        ]

    @classmethod
    def get_session_store_class(cls) -> Any:
        from saas.accounts.sessions import SessionStore

        return SessionStore


class RefreshTokenQuerySet(models.QuerySet["RefreshToken"]):
    def usable(self, now: datetime) -> RefreshTokenQuerySet:
        return self.filter(used_at=None, revoked_at=None, expires_at__gt=now)


class RefreshToken(models.Model):
    """One link of a session's chain of refresh tokens. Only the hash is kept (the token is 256 random bits)."""

    token_hash = models.CharField(max_length=64, unique=True)
    session = models.ForeignKey(LoginSession, models.CASCADE, related_name="refresh_tokens")
    parent = models.OneToOneField("self", models.SET_NULL, null=True, related_name="successor")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = RefreshTokenQuerySet.as_manager()


class OAuthIdentityQuerySet(models.QuerySet["OAuthIdentity"]):
    def of(self, issuer: str, subject: str) -> OAuthIdentity | None:
        """The identity that an issuer calls ``subject``, with its user."""
        return self.filter(issuer=issuer, subject=subject).select_related("user").first()


class OAuthIdentity(models.Model):
    """A person at a provider, known by the provider's own id for her, never by an address."""

    provider = models.CharField(max_length=32)
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    user = models.ForeignKey(User, models.CASCADE, related_name="oauth_identities")
    email = models.CharField(max_length=254, blank=True)  # what the provider said last
    email_is_verified = models.BooleanField(default=False, db_default=False)  # whether it vouched for that
    created_at = models.DateTimeField(default=timezone.now)
    last_login_at = models.DateTimeField(default=timezone.now)

    objects = OAuthIdentityQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = "OAuth identity", "OAuth identities"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_account_per_provider_identity"),
            models.UniqueConstraint(fields=["user", "provider"], name="one_identity_per_account_and_provider"),
        ]


class OAuthState(models.Model):
    """A sign-in under way at a provider: single use, bound to the browser that began it.

    With ``session`` its user, who is logged in, links the provider to her account.
    """

    state_hash = models.CharField(max_length=64, primary_key=True)
    provider = models.CharField(max_length=32)
    browser_hash = models.CharField(max_length=64)
    session = models.ForeignKey(LoginSession, models.CASCADE, null=True, related_name="+")
    return_to = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(db_index=True)


class FailedAttempts(models.Model):
    """Guesses at one secret of one account since the last right one; ``free_from`` is when the next is looked at."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)
    free_from = models.DateTimeField()


from saas.accounts.deletion_models import Deletion as Deletion  # noqa: E402  (registers the table)
from saas.accounts.impersonation_models import Impersonation as Impersonation  # noqa: E402  (registers the table)
