"""Users, their profiles, and the notes that staff keep about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group, PermissionsMixin
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from saas.accounts.email_addresses import canonical_email
from saas.accounts.user_search import search_condition
from saas.errors import DomainError
from saas.fields import PrefixedIdField
from saas.localization.dates import long_date


class UserQuerySet(models.QuerySet["User"]):
    def by_email(self, email: str) -> User | None:
        """The account of an address in any spelling; ``None`` also for an invalid address."""
        try:
            return self.filter(email_canonical=canonical_email(email)).first()
        except DomainError:
            return None

    def customers(self) -> UserQuerySet:
        return self.filter(is_staff=False)

    def admins(self) -> UserQuerySet:
        """Active staff with the admin role, and active superusers."""
        holds_role = Exists(Group.objects.filter(user=OuterRef("pk"), name=StaffRole.ADMIN))
        active = self.filter(is_staff=True, status=User.Status.ACTIVE)
        return active.filter(Q(is_superuser=True) | holds_role)

    def matching(self, search: str) -> UserQuerySet:
        """Part of the e-mail address or name, in any form of Unicode, or the exact id."""
        return self.filter(search_condition(search))

    def listed(self, *, search: str = "", status: str = "") -> UserQuerySet:
        """The users that a list with these filters shows; an empty filter matches all."""
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
    token_epoch = models.PositiveIntegerField(default=0)  # sessions of an earlier epoch have ended
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["status", "-id"], name="users_by_status"),
            models.Index(fields=["status"], name="people_by_status"),  # for counts: a tenth of the other's size
            models.Index(fields=["status"], condition=Q(is_staff=True), name="staff_by_status"),
            models.Index(
                fields=["status"], condition=Q(is_staff=False, email_verified_at=None), name="unverified_by_status"
            ),
            models.Index(fields=["created_at"], condition=Q(is_staff=False), name="customers_by_creation"),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email_canonical = canonical_email(self.email)
        super().save(*args, **kwargs)

    @property
    def time_zone(self) -> ZoneInfo:
        """Of the profile; UTC where it names none that there is."""
        name = Profile.objects.filter(user=self.pk).values_list("timezone", flat=True).first()
        try:
            return ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    def written_day(self, at: datetime) -> str:
        """The day of a moment where the person is, in their language."""
        return long_date(at.astimezone(self.time_zone), self.locale)

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        return self.status == self.Status.ACTIVE

    @property
    def is_verified(self) -> bool:
        return self.email_verified_at is not None


class Profile(models.Model):
    """What a customer shows of themselves."""

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
    # Here and not in ``User``, which every request reads.
    metadata = models.JSONField(default=dict, db_default={}, blank=True)  # see ``saas.accounts.metadata``
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.display_name or self.user_id


class StaffRole(models.TextChoices):
    """A role of staff: the name of a Django group. ``staff_roles`` says what it allows.

    Highest first: the order in which one person's roles are listed.
    """

    ADMIN = "admin"
    SUPPORT_WRITE = "support-write"
    SUPPORT_READ = "support-read"
    AUDITOR = "auditor"


class UserNote(models.Model):
    """A note by staff about a person, shown on the person's admin page. Never changed.

    The person sees it only in the export of their personal data.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="notes")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    text = models.CharField(max_length=4000)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.text[:80]
