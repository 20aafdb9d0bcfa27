"""A form that is sent twice (a double click, a reloaded page) does its work once, and both get the first answer.

The key is a random value in the form, and a form with the same key but other values is another form. What the first sending
answered is kept, encrypted, for some minutes where the cache may lose it: the action's own rules are the last word.
"""

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from redis.exceptions import RedisError

from saas.accounts.sessions.tokens import hash_token
from saas.security.encryption import decrypt, encrypt

KEPT_SECONDS = 300
LOOKS, PAUSE_SECONDS = 20, 0.05
MAX_KEY = 64
_RUNNING = "running"


def new_form_key() -> str:
    return secrets.token_urlsafe(16)


def answer_once(
    request: HttpRequest,
    by: str,
    work: Callable[[], HttpResponse],
    *,
    meanwhile: Callable[[], HttpResponse] | None = None,
) -> HttpResponse:
    """Return what ``work`` answers, or what it answered to this form of the person ``by`` before.

    The second sending waits up to a second for the first. If the first was refused, the second does the work; if it still
    runs, ``meanwhile`` answers, by default with a redirect to the page itself. A refused form comes back with a new key.
    """
    slot = _slot(request, by)
    if not slot:
        return work()
    if not _claim(slot):
        if answer := _kept_answer(slot):
            return answer
        if not _claim(slot):
            return meanwhile() if meanwhile else HttpResponseRedirect(request.path)
    try:
        answer = work()
    except Exception:
        _forget(slot)
        raise
    if answer.status_code < 400:
        _keep(slot, answer)
    else:
        _forget(slot)  # the form that comes back has a new key
    return answer


def earlier_answer(request: HttpRequest, by: str) -> HttpResponse | None:
    """Return what this form of the person ``by`` was answered before; None if it is new."""
    slot = _slot(request, by)
    return _kept_answer(slot) if slot else None


def _slot(request: HttpRequest, by: str) -> str:
    """Where the answer is kept; empty for a form without a key."""
    key = str(request.POST.get("form_key", ""))[:MAX_KEY]
    return f"form:{hash_token(f'{by}:{request.path}:{key}:{_filled_in(request)}')}" if key else ""


def _filled_in(request: HttpRequest) -> str:
    names = sorted({*request.POST} - {"csrfmiddlewaretoken", "form_key"})
    return json.dumps([[name, *request.POST.getlist(name)] for name in names])


def _claim(slot: str) -> bool:
    try:
        return bool(cache.add(slot, _RUNNING, KEPT_SECONDS))
    except RedisError:
        return True


def _kept(slot: str) -> str | None:
    try:
        return cache.get(slot)  # type: ignore[no-any-return]
    except RedisError:
        return None


def _keep(slot: str, answer: HttpResponse) -> None:
    kept = json.dumps([answer.status_code, answer.headers.get("Location", ""), answer.content.decode()])
    with suppress(RedisError):
        cache.set(slot, encrypt(kept, secret=settings.SECRET_KEY), KEPT_SECONDS)


def _forget(slot: str) -> None:
    with suppress(RedisError):
        cache.touch(slot, 0)


def _kept_answer(slot: str) -> HttpResponse | None:
    """Wait a moment for a sending that still runs: the first of a double click is mostly done by then."""
    kept = _kept(slot)
    for _ in range(LOOKS):
        if kept != _RUNNING:
            break
        time.sleep(PAUSE_SECONDS)
        kept = _kept(slot)
    if kept in {None, _RUNNING}:
        return None
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    status, location, content = json.loads(decrypt(kept, secrets=keys))
    return HttpResponse(content, status=status, headers={"Location": location} if location else {})
