"""Rate limits (throttles) as data, counted by django-ratelimit, whose counter is exact under parallel load; DRF's is not.

A view names its ``limits``; ``ApiView`` counts each request before it runs and sends the remaining number.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from django.conf import settings
from django_ratelimit.core import get_usage
from prometheus_client import Counter
from redis.exceptions import RedisError
from rest_framework.request import Request

from saas.accounts.sessions import logins
from saas.accounts.sessions.tokens import hash_token
from saas.api.client_address import client_address
from saas.background_tasks import CircuitBreaker
from saas.errors import DomainError
from saas.ip_addresses import containing_subnets, subscriber_subnet

MINUTE, HOUR, DAY = 60, 3600, 86_400
MAX_LOCAL_KEYS = 10_000
LOCAL_SHARE = 4  # without Redis each process allows a quarter of a limit, at least 1


class TooManyRequests(DomainError):
    code, title, status = "too_many_requests", "Too many requests. Try again later.", 429


class RateLimitsUnavailable(DomainError):
    code, title, status = "limits_unavailable", "This cannot be done for a moment. Try again soon.", 503


class Fallback(Enum):
    """What happens while the shared counter (Redis) is unavailable."""

    COUNT_LOCALLY = auto()  # each process counts up to a quarter of the limit
    FAIL_OPEN = auto()  # allow: the action is safe without a limit
    FAIL_CLOSED = auto()  # refuse with 503: the action is not safe without a limit


class CounterScope(Enum):
    """Which processes share a count."""

    SHARED = auto()  # all, exactly
    SHARED_IF_REDIS = auto()  # all with Redis; without it each process: not worth a database write
    PER_PROCESS = auto()  # each process: against floods only, not worth a round trip (decision 30)


@dataclass(frozen=True)
class RateLimit:
    """``count`` requests in ``seconds`` for each value of ``key``."""

    scope: str
    count: int
    seconds: int
    key: Callable[[Request], str]
    fallback: Fallback = Fallback.COUNT_LOCALLY
    counter: CounterScope = CounterScope.SHARED

    @property
    def scaled_count(self) -> int:
        return self.count * int(settings.RATE_LIMIT_SCALE)


@dataclass(frozen=True)
class Usage:
    """What one request left of a limit."""

    limit: RateLimit
    count: int
    reset_seconds: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit.scaled_count - self.count)

    @property
    def is_exceeded(self) -> bool:
        return self.count > self.limit.scaled_count


def by_address(request: Request) -> str:
    """The wider subnets are counted, too (``limits_by_subnet``)."""
    return subscriber_subnet(client_address(request._request))


def by_user(request: Request) -> str:
    return str(request.user.pk)


def by_caller(request: Request) -> str:
    """The user; API keys and impersonations have counts of their own."""
    own = getattr(request.auth, "key", None) or getattr(request.auth, "impersonation", None)
    return str((own or request.user).pk)


def by_team(request: Request) -> str:
    return str(request.parser_context["kwargs"]["team_id"])


LOGIN = RateLimit("login", 30, MINUTE, by_address)
REGISTER = RateLimit("register", 5, MINUTE, by_address)
REGISTER_HOURLY = RateLimit("register-hourly", 20, HOUR, by_address)
REFRESH = RateLimit("refresh", 60, MINUTE, by_address, Fallback.FAIL_OPEN)
OAUTH = RateLimit("oauth", 30, MINUTE, by_address)
CHECKOUT = RateLimit("checkout", 10, MINUTE, by_user)
TEAM_INVITE = RateLimit("team-invite", 20, HOUR, by_user, Fallback.FAIL_CLOSED)
TEAM_INVITE_DAILY = RateLimit("team-invite-daily", 100, DAY, by_team, Fallback.FAIL_CLOSED)
INVITATION_ACCEPT = RateLimit("invitation-accept", 20, MINUTE, by_address)
IMPERSONATION = RateLimit("impersonation", 20, HOUR, by_user, Fallback.FAIL_CLOSED)
PASSWORD_FORGOT = RateLimit("password-forgot", 20, HOUR, by_address)
MFA = RateLimit("mfa", 20, MINUTE, by_address)
MAILED_LINK = RateLimit("mailed-link", 20, MINUTE, by_address)
MAIL_AGAIN = RateLimit("mail-again", 5, HOUR, by_user)
CREDENTIAL_CHANGES = RateLimit("credential-changes", 20, HOUR, by_user)  # most send a mail
EXPORT = RateLimit("export", 10, HOUR, by_user)
STAFF_LOGIN = RateLimit("staff-login", 10, MINUTE, by_address)
READS = RateLimit("reads", 600, MINUTE, by_caller, Fallback.FAIL_OPEN, CounterScope.PER_PROCESS)
WRITES = RateLimit("writes", 120, MINUTE, by_caller, Fallback.FAIL_OPEN, CounterScope.SHARED_IF_REDIS)
TEAM = RateLimit("team", 3000, MINUTE, by_team, Fallback.FAIL_OPEN, CounterScope.PER_PROCESS)


def register_account_limit(email_canonical: str) -> RateLimit:
    """Per email address, whatever network the request comes from."""
    return RateLimit("register-account", 3, HOUR, lambda _: email_canonical)


def password_forgot_account_limit(email_canonical: str) -> RateLimit:
    """Per email address, whatever network the request comes from."""
    return RateLimit("password-forgot-account", 5, HOUR, lambda _: email_canonical)


def invitation_address_limit(email_canonical: str) -> RateLimit:
    """Per invited address, so that many teams cannot fill one mailbox."""
    return RateLimit("team-invite-address", 20, DAY, lambda _: email_canonical, Fallback.FAIL_CLOSED)


def email_change_address_limit(email_canonical: str) -> RateLimit:
    """Per new email address, so that many accounts cannot fill one mailbox."""
    return RateLimit("email-change-address", 5, HOUR, lambda _: email_canonical)


def mailed_link_token_limit(token: str) -> RateLimit:
    """Per mailed link, whatever network it is tried from. The counter's key holds a hash of the token."""
    return RateLimit("mailed-link-token", 5, MINUTE, lambda _: hash_token(token))


def refresh_family_limit(refresh_token: str) -> RateLimit:
    """Per login: all refresh tokens of one family."""
    return RateLimit(
        "refresh-family", 10, MINUTE, lambda _: logins.refresh_token_family(refresh_token), Fallback.FAIL_OPEN
    )


class LocalRateCounter:
    """Fixed windows in this process's memory, at most ``MAX_LOCAL_KEYS``: the oldest is dropped first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}  # key → (end of the window, count)

    def add(self, key: str, seconds: int) -> tuple[int, int]:
        """Count one; return the window's count so far and the seconds until it ends."""
        now = self._clock()
        with self._lock:
            end, count = self._windows.pop(key, (0.0, 0))
            if end <= now:
                end, count = now + seconds, 0
            self._windows[key] = (end, count + 1)
            if len(self._windows) > MAX_LOCAL_KEYS:
                del self._windows[next(iter(self._windows))]
        return count + 1, math.ceil(end - now)


_redis_breaker = CircuitBreaker(seconds=5.0)
_local_counter = LocalRateCounter()
_UNAVAILABLE = Counter("rate_limit_counter_away", "Requests whose limit could not be counted together.", ["scope"])


def limits_by_subnet(limit: RateLimit, request: Request) -> list[RateLimit]:
    """The limit itself; a limit by address also for each wider subnet, with a multiple of the count."""
    if limit.key is not by_address:
        return [limit]
    subnets = containing_subnets(client_address(request._request))
    return [replace(limit, count=limit.count * net.limit_multiplier, key=_always(net.name)) for net in subnets]


def _always(key: str) -> Callable[[Request], str]:
    return lambda _: key


def count_request(limit: RateLimit, request: Request) -> Usage | None:
    """Count this request. Without Redis: ``None`` where the limit fails open; raises
    ``RateLimitsUnavailable`` where it fails closed.

    Counted from the narrowest subnet outwards up to the first that is exceeded: a caller who is refused uses up nothing
    of the neighbours' share.
    """
    first: Usage | None = None
    for one in limits_by_subnet(limit, request):
        usage = _count_one(one, request)
        if usage is None or usage.is_exceeded:
            return usage
        first = first or usage
    return first


def _count_one(limit: RateLimit, request: Request) -> Usage | None:
    if limit.counter is CounterScope.PER_PROCESS or (
        limit.counter is CounterScope.SHARED_IF_REDIS and not settings.REDIS_URL
    ):
        return Usage(limit, *_count_locally(limit, request))
    if not _redis_breaker.is_open:
        try:
            return _count_shared(limit, request)
        except RedisError:
            _redis_breaker.trip()
    _UNAVAILABLE.labels(limit.scope).inc()
    return _count_without_redis(limit, request)


def require_within_limit(usage: Usage) -> None:
    """Raise ``TooManyRequests`` if that request exceeded the limit."""
    if usage.is_exceeded:
        raise TooManyRequests(retry_after_seconds=max(1, usage.reset_seconds))


def rate_limit_headers(usages: list[Usage]) -> Mapping[str, str]:
    """``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers) of the counted limits."""
    return {
        "RateLimit": ", ".join(f'"{u.limit.scope}";r={u.remaining};t={u.reset_seconds}' for u in usages),
        "RateLimit-Policy": ", ".join(
            f'"{u.limit.scope}";q={u.limit.scaled_count};w={u.limit.seconds}' for u in usages
        ),
    }


def _count_shared(limit: RateLimit, request: Request) -> Usage | None:
    usage = get_usage(
        request._request,
        group=limit.scope,
        key=lambda *_: limit.key(request),
        rate=f"{limit.scaled_count}/{limit.seconds}s",
        increment=True,
    )
    return Usage(limit, usage["count"], math.ceil(usage["time_left"])) if usage else None


def _count_without_redis(limit: RateLimit, request: Request) -> Usage | None:
    if limit.fallback is Fallback.FAIL_CLOSED:
        raise RateLimitsUnavailable(retry_after_seconds=math.ceil(_redis_breaker.seconds))
    if limit.fallback is Fallback.FAIL_OPEN:
        return None
    count, reset_seconds = _count_locally(limit, request)
    is_first = count == 1
    return Usage(limit, min(LOCAL_SHARE, limit.scaled_count) if is_first else count * LOCAL_SHARE, reset_seconds)


def _count_locally(limit: RateLimit, request: Request) -> tuple[int, int]:
    return _local_counter.add(f"{limit.scope}:{limit.key(request)}", limit.seconds)
