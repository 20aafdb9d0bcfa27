"""HTTP clients for the four services, in the test's own process."""

from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.test import Client
from django.test.client import ClientHandler

from saas.testing.response_schema import assert_matches_schema
from saas.testing.service_settings import service_settings


class ServiceClient(Client):
    """Send JSON to one service, run as by its own settings module. CSRF is checked, and a crash answers 500."""

    def __init__(self, service: str) -> None:
        super().__init__(enforce_csrf_checks=True, raise_request_exception=False)
        self.service = service

    def request(self, **request: Any) -> Any:
        self.handler = _handler()
        with service_settings(self.service):
            response = super().request(**request)
        assert_matches_schema(self.service, request["REQUEST_METHOD"], response)
        return response

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Send ``body`` as JSON, or ``raw`` as it is."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if raw is not None:
            return self.generic(method, path, raw, content_type=content_type, headers=sent)
        data = b"" if body is None else self._encode_json(body, "application/json").encode()  # type: ignore[attr-defined]
        return self.generic(method, path, data, content_type=content_type, headers=sent)

    def submit_form(self, path: str, fields: dict[str, Any]) -> Any:
        """Post an HTML form, with the CSRF token that the page before it set as a cookie."""
        token = self.cookies[f"{settings.COOKIE_PREFIX}{self.service}_csrf"].value
        return super().post(path, {"csrfmiddlewaretoken": token, **fields})

    def get(self, path: str, **options: Any) -> Any:  # type: ignore[override]
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:  # type: ignore[override]
        return self.send("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Any:  # type: ignore[override]
        return self.send("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:  # type: ignore[override]
        return self.send("PATCH", path, body, **options)

    def delete(self, path: str, body: Any = None, **options: Any) -> Any:  # type: ignore[override]
        return self.send("DELETE", path, body, **options)


@cache
def _handler() -> ClientHandler:
    """The middleware of all clients: building it takes as long as a request. In that, too, the clients are like a server."""
    handler = ClientHandler(enforce_csrf_checks=True)
    handler.load_middleware()
    return handler


def _forget_handler(**_: object) -> None:
    """Some middleware reads settings when it is made."""
    _handler.cache_clear()


setting_changed.connect(_forget_handler)
