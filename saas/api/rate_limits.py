"""Rate limits as data, counted by django-ratelimit (whose counter is exact under parallel load where DRF's is not).

A view names its limits; ``ApiView`` spends from them before it runs and tells the caller what is left.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from django.conf import settings
from django_ratelimit.core import get_usage
from prometheus_client import Counter
from redis.exceptions import RedisError
from rest_framework.request import Request

from saas.accounts.sessions import logins
from saas.accounts.sessions.tokens import hashed
from saas.api.client_address import client_address
from saas.api.local_rate_counter import LocalBuckets
from saas.background_tasks import CircuitBreaker
from saas.errors import DomainError
from saas.ip_addresses import around, network

MINUTE, HOUR, DAY = 60, 3600, 86_400
AWAY_SHARE = 4  # a process alone gives a quarter of what all give together, and never nothing


class TooManyRequests(DomainError):
    code, title, status = "too_many_requests", "Too many requests. Try again later.", 429


class LimitsAway(DomainError):
    code, title, status = "limits_unavailable", "This cannot be done for a moment. Try again soon.", 503


class WhenAway(Enum):
    """What happens while the counter (Redis) cannot be asked."""

    LOCAL = auto()  # each process counts for itself, to a quarter of the limit
    OPEN = auto()  # let through: the action is safe without
    CLOSED = auto()  # refuse: the action is not safe without


class Counted(Enum):
    """Who counts."""

    TOGETHER = auto()  # all processes, exactly
    CHEAPLY = auto()  # the same where there is Redis; without, each process: not worth a write to the database
    ALONE = auto()  # each process for itself: not worth a round trip, against floods only (decision 30)


@dataclass(frozen=True)
class Limit:
    """``count`` requests in ``seconds`` for each value of ``key``."""

    scope: str
    count: int
    seconds: int
    key: Callable[[Request], str]
    when_away: WhenAway = WhenAway.LOCAL
    counted: Counted = Counted.TOGETHER

    @property
    def scaled(self) -> int:
        return self.count * int(settings.RATE_LIMIT_SCALE)


@dataclass(frozen=True)
class Usage:
    """What one request left of a limit."""

    limit: Limit
    count: int
    reset_seconds: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit.scaled - self.count)

    @property
    def is_spent(self) -> bool:
        return self.count > self.limit.scaled


def by_address(request: Request) -> str:
    """The networks around it are counted, too (``widths``)."""
    return network(client_address(request._request))


def by_user(request: Request) -> str:
    return str(request.user.pk)


def by_caller(request: Request) -> str:
    """A person; or one of the API keys that she made, or a member of staff in her name: they leave hers alone."""
    stand_in = getattr(request.auth, "key", None) or getattr(request.auth, "impersonation", None)
    return str((stand_in or request.user).pk)


def by_team(request: Request) -> str:
    return str(request.parser_context["kwargs"]["team_id"])


LOGIN = Limit("login", 30, MINUTE, by_address)
REGISTER = Limit("register", 5, MINUTE, by_address)
REGISTER_HOURLY = Limit("register-hourly", 20, HOUR, by_address)
REFRESH = Limit("refresh", 60, MINUTE, by_address, WhenAway.OPEN)
OAUTH = Limit("oauth", 30, MINUTE, by_address)
CHECKOUT = Limit("checkout", 10, MINUTE, by_user)
TEAM_INVITE = Limit("team-invite", 20, HOUR, by_user, WhenAway.CLOSED)
TEAM_INVITE_DAILY = Limit("team-invite-daily", 100, DAY, by_team, WhenAway.CLOSED)
INVITATION_ACCEPT = Limit("invitation-accept", 20, MINUTE, by_address)
IMPERSONATION = Limit("impersonation", 20, HOUR, by_user, WhenAway.CLOSED)
PASSWORD_FORGOT = Limit("password-forgot", 20, HOUR, by_address)
MFA = Limit("mfa", 20, MINUTE, by_address)
MAILED_LINK = Limit("mailed-link", 20, MINUTE, by_address)
MAIL_AGAIN = Limit("mail-again", 5, HOUR, by_user)
EXPORT = Limit("export", 10, HOUR, by_user)
STAFF_LOGIN = Limit("staff-login", 10, MINUTE, by_address)
READS = Limit("reads", 600, MINUTE, by_caller, WhenAway.OPEN, Counted.ALONE)
WRITES = Limit("writes", 120, MINUTE, by_caller, WhenAway.OPEN, Counted.CHEAPLY)
TEAM = Limit("team", 3000, MINUTE, by_team, WhenAway.OPEN, Counted.ALONE)


def registered(email_canonical: str) -> Limit:
    """For one address, by whatever network it is typed."""
    return Limit("register-account", 3, HOUR, lambda _: email_canonical)


def forgotten(email_canonical: str) -> Limit:
    """For one address, by whatever network it is typed."""
    return Limit("password-forgot-account", 5, HOUR, lambda _: email_canonical)


def moved_to(email_canonical: str) -> Limit:
    """Whoever asks: one mailbox is not to be filled by many accounts."""
    return Limit("email-change-address", 5, HOUR, lambda _: email_canonical)


def mailed_link(token: str) -> Limit:
    """For one link, by whatever network it is tried. The counter's key is no secret: it holds a hash."""
    return Limit("mailed-link-token", 5, MINUTE, lambda _: hashed(token))


def refreshed(refresh_token: str) -> Limit:
    """For one login, whose refresh tokens are exchanged one for the next."""
    return Limit("refresh-family", 10, MINUTE, lambda _: logins.family_of(refresh_token), WhenAway.OPEN)


_away = CircuitBreaker(seconds=5.0)
_buckets = LocalBuckets()
_AWAY_TOTAL = Counter("rate_limit_counter_away", "Requests whose limit could not be counted together.", ["scope"])


def widths(limit: Limit, request: Request) -> list[Limit]:
    """The limit itself; one by address also for each network around that address, whose people together may do more."""
    if limit.key is not by_address:
        return [limit]
    networks = around(client_address(request._request))
    return [replace(limit, count=limit.count * wide.times, key=_always(wide.name)) for wide in networks]


def _always(key: str) -> Callable[[Request], str]:
    return lambda _: key


def spend(limit: Limit, request: Request) -> Usage | None:
    """Count this request. ``None`` where nobody could count and the limit lets through; raises ``LimitsAway`` where not.

    Of several widths the first that is spent is told, and the wider ones do not count it: whoever is refused uses up
    nothing of the neighbours'.
    """
    told: Usage | None = None
    for width in widths(limit, request):
        usage = _spend_one(width, request)
        if usage is None or usage.is_spent:
            return usage
        told = told or usage
    return told


def _spend_one(limit: Limit, request: Request) -> Usage | None:
    if limit.counted is Counted.ALONE or (limit.counted is Counted.CHEAPLY and not settings.REDIS_URL):
        return Usage(limit, *_spend_alone(limit, request))
    if not _away.is_open:
        try:
            return _counted(limit, request)
        except RedisError:
            _away.trip()
    _AWAY_TOTAL.labels(limit.scope).inc()
    return _spend_away(limit, request)


def require(usage: Usage) -> None:
    """Raise ``TooManyRequests`` if that request was one too many."""
    if usage.is_spent:
        raise TooManyRequests(retry_after_seconds=max(1, usage.reset_seconds))


def as_headers(usages: list[Usage]) -> Mapping[str, str]:
    """``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers) for what a request spent."""
    return {
        "RateLimit": ", ".join(f'"{u.limit.scope}";r={u.remaining};t={u.reset_seconds}' for u in usages),
        "RateLimit-Policy": ", ".join(f'"{u.limit.scope}";q={u.limit.scaled};w={u.limit.seconds}' for u in usages),
    }


def _counted(limit: Limit, request: Request) -> Usage | None:
    usage = get_usage(
        request._request,
        group=limit.scope,
        key=lambda *_: limit.key(request),
        rate=f"{limit.scaled}/{limit.seconds}s",
        increment=True,
    )
    return Usage(limit, usage["count"], math.ceil(usage["time_left"])) if usage else None


def _spend_away(limit: Limit, request: Request) -> Usage | None:
    if limit.when_away is WhenAway.CLOSED:
        raise LimitsAway(retry_after_seconds=math.ceil(_away.seconds))
    if limit.when_away is WhenAway.OPEN:
        return None
    count, reset_seconds = _spend_alone(limit, request)
    is_first = count == 1
    return Usage(limit, min(AWAY_SHARE, limit.scaled) if is_first else count * AWAY_SHARE, reset_seconds)


def _spend_alone(limit: Limit, request: Request) -> tuple[int, int]:
    return _buckets.add(f"{limit.scope}:{limit.key(request)}", limit.seconds)
