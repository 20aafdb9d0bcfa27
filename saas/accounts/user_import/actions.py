"""Create customers from the entries of another system's export, a thousand in each transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from saas.accounts.email_addresses import canonical_email, deliverable_email
from saas.accounts.models import Profile, User
from saas.accounts.user_import.formats import Entry, Person
from saas.accounts.user_import.password_hashes import FirebaseParameters, UnusableHash, stored_hash
from saas.audit.actions import record_many
from saas.errors import DomainError
from saas.text_normalization import strip_invisible

BATCH = 1000
_ATTEMPTS = 3  # for a batch of which a person registers meanwhile
_MAX_NAME_LENGTH: int = User._meta.get_field("full_name").max_length or 0
_MAX_DISPLAY_NAME_LENGTH: int = Profile._meta.get_field("display_name").max_length or 0


class EntryRefused(Exception):
    """An entry is not imported; its message is a sentence."""


@dataclass(frozen=True)
class Options:
    """``trusts_addresses``: an address counts as verified where the file does not say. ``is_dry_run``: nothing is stored."""

    firebase: FirebaseParameters | None = None
    trusts_addresses: bool = False
    is_dry_run: bool = False


@dataclass
class ImportSummary:
    """What became of the entries so far. ``refused``: place and sentence of each."""

    created: int = 0
    existing: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.created + self.existing + len(self.refused)


def import_users(entries: Iterable[Entry], options: Options) -> Iterator[ImportSummary]:
    """Create a customer for each entry whose address has no account yet; yield the outcome after each batch.

    May be repeated: an account that exists is left as it is. No mail is sent. A person without a password hash, who signs
    in with a provider, can set a password by resetting it.
    """
    outcome, places = ImportSummary(), dict[str, str]()
    remaining = iter(entries)
    while batch := list(islice(remaining, BATCH)):
        users = dict[str, User]()
        for entry in batch:
            try:
                user = _user(entry, options)
                _refuse_repetition(user, entry.place, places)
            except (DomainError, UnusableHash, EntryRefused) as refusal:
                outcome.refused.append((entry.place, str(refusal)))
            else:
                users[user.email_canonical] = user
        created = _store(users, is_dry_run=options.is_dry_run)
        outcome.created += created
        outcome.existing += len(users) - created
        yield outcome


def _user(entry: Entry, options: Options) -> User:
    """Return the customer, not stored yet. Raises ``EntryRefused`` and ``DomainError``."""
    person = entry.person
    if person is None:
        raise EntryRefused(entry.fault)
    now = timezone.now()
    created_at = min(person.created_at or now, now)
    return User(
        email=deliverable_email(person.email),
        email_canonical=canonical_email(person.email),
        full_name=_name(person),
        password=stored_hash(person.password_hash, salt=person.salt, firebase=options.firebase) or make_password(None),
        email_verified_at=created_at if _is_verified(person, options) else None,
        created_at=created_at,
    )


def _is_verified(person: Person, options: Options) -> bool:
    return options.trusts_addresses if person.is_verified is None else person.is_verified


def _name(person: Person) -> str:
    name = strip_invisible(person.full_name)
    if len(name) > _MAX_NAME_LENGTH:
        raise EntryRefused(f"Its name is longer than {_MAX_NAME_LENGTH} characters.")
    return name


def _refuse_repetition(user: User, place: str, places: dict[str, str]) -> None:
    """``places``: where each address of this file stood first."""
    first = places.setdefault(user.email_canonical, place)
    if first != place:
        raise EntryRefused(f"Its address stands at {first} already.")


def _store(users: dict[str, User], *, is_dry_run: bool) -> int:
    """Store those whose address has no account, and return how many they are."""
    for attempt in range(_ATTEMPTS):
        known = User.objects.filter(email_canonical__in=users).values_list("email_canonical", flat=True)
        new = [users[address] for address in users.keys() - set(known)]
        if is_dry_run or not new:
            return len(new)
        try:
            _create(new)
        except IntegrityError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return len(new)
    return 0


@transaction.atomic
def _create(users: list[User]) -> None:
    User.objects.bulk_create(users)
    Profile.objects.bulk_create(
        Profile(user=user, display_name=user.full_name[:_MAX_DISPLAY_NAME_LENGTH]) for user in users
    )
    record_many("user.imported", targets=[user.id for user in users])
