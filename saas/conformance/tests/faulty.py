"""Services with one deliberate fault each: the real one, and between it and the caller somebody who alters one thing."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

Forward = Callable[[httpx.Request], httpx.Response]
Fault = Callable[[httpx.Request, Forward], httpx.Response]


class Faulty(httpx.BaseTransport):
    """``fault`` sees every request and decides what is forwarded and what comes back."""

    def __init__(self, inner: httpx.BaseTransport, fault: Fault) -> None:
        self.inner = inner
        self.fault = fault

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.fault(request, self._forward)

    def _forward(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        response.read()
        return response


def changed(response: httpx.Response, *, status: int = 0, body: Any = None, **headers: str) -> httpx.Response:
    """``response`` with another status, body or headers; an empty header is taken away."""
    replaced = {"content-length", *(name.replace("_", "-").lower() for name in headers)}
    kept = [(name, value) for name, value in response.headers.multi_items() if name not in replaced]
    kept += [(name.replace("_", "-"), value) for name, value in headers.items() if value]
    content = response.content if body is None else json.dumps(body).encode()
    return httpx.Response(status or response.status_code, headers=kept, content=content)


def resent(request: httpx.Request, **headers: str | None) -> httpx.Request:
    """``request`` with other headers; ``None`` takes one away."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = [(name, value) for name, value in request.headers.multi_items() if name not in names]
    kept += [(name, value) for name, value in names.items() if value is not None]
    return httpx.Request(request.method, request.url, headers=kept, content=request.read())


def answering(path: str, when: int, **change: Any) -> Fault:
    """Alters the answers of one path that have one status."""

    def fault(request: httpx.Request, forward: Forward) -> httpx.Response:
        response = forward(request)
        fits = request.url.path.endswith(path) and response.status_code == when
        return changed(response, **change) if fits else response

    return fault


def rewriting(status: int, rewrite: Callable[[str], str], path: str = "") -> Fault:
    """Alters the text of the answers that have one status."""

    def fault(request: httpx.Request, forward: Forward) -> httpx.Response:
        response = forward(request)
        if response.status_code != status or path not in request.url.path or not response.content:
            return response
        return changed(response, body=json.loads(rewrite(response.text)))

    return fault


def with_headers(pattern: str, name: str, value: str, when: int = 0) -> Fault:
    """Alters every header of one name as it fits ``pattern``; in all answers, or those with one status."""

    def fault(request: httpx.Request, forward: Forward) -> httpx.Response:
        response = forward(request)
        if when not in {0, response.status_code}:
            return response
        headers = [
            (key, re.sub(pattern, value, text) if key == name.lower() else text)
            for key, text in response.headers.multi_items()
        ]
        return httpx.Response(response.status_code, headers=headers, content=response.content)

    return fault


class Remembering:
    """What was answered 200 to one request is answered so for ever: a token that cannot be killed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.answers: dict[tuple[str, bytes], httpx.Response] = {}

    def __call__(self, request: httpx.Request, forward: Forward) -> httpx.Response:
        key = (request.headers.get("authorization", ""), request.read())
        response = forward(request)
        if not request.url.path.endswith(self.path):
            return response
        if response.status_code == 200:
            self.answers[key] = response
        return self.answers.get(key, response)


class LettingTokensLive:
    """Tells of 204 and does nothing, at one path."""

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path

    def __call__(self, request: httpx.Request, forward: Forward) -> httpx.Response:
        if request.method == self.method and self.path in request.url.path and "authorization" in request.headers:
            return httpx.Response(204, headers={"X-Request-ID": "done"})
        return forward(request)


def not_rotating(request: httpx.Request, forward: Forward) -> httpx.Response:
    response = forward(request)
    if not request.url.path.endswith("/auth/refresh") or response.status_code != 200:
        return response
    return changed(response, body={**response.json(), **json.loads(request.read())})


def falling_back(request: httpx.Request, forward: Forward) -> httpx.Response:
    """Tries the cookie where the header is of no use."""
    response = forward(request)
    if response.status_code == 401 and "cookie" in request.headers:
        return forward(resent(request, authorization=None))
    return response


def without_csrf(request: httpx.Request, forward: Forward) -> httpx.Response:
    """Gets a CSRF token by itself where the caller sends none."""
    if request.method == "GET" or "cookie" not in request.headers or "x-csrftoken" in request.headers:
        return forward(request)
    address = request.url.copy_with(path=re.sub(r"/(auth|users)/.*", "/auth/csrf", request.url.path))
    asked = forward(httpx.Request("GET", address))
    cookie = asked.headers["set-cookie"].partition(";")[0]
    token = next(iter(asked.json().values()))
    return forward(resent(request, cookie=f"{request.headers['cookie']}; {cookie}", x_csrftoken=token))


def taking_both_conventions(request: httpx.Request, forward: Forward) -> httpx.Response:
    """Reads displayName as display_name."""
    if request.method != "PATCH" or b"displayName" not in request.read():
        return forward(request)
    body = request.read().replace(b"displayName", b"display_name")
    headers = {**request.headers, "content-length": str(len(body))}
    return forward(httpx.Request(request.method, request.url, headers=headers, content=body))


def second_logout_refused() -> Fault:
    seen: set[str] = set()

    def fault(request: httpx.Request, forward: Forward) -> httpx.Response:
        token = request.headers.get("authorization", "")
        if request.url.path.endswith("/auth/logout") and token in seen:
            return forward(resent(request, authorization="Bearer gone"))
        seen.update([token] if request.url.path.endswith("/auth/logout") else [])
        return forward(request)

    return fault
