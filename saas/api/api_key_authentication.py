"""API keys as bearer tokens, for views about teams and their plans. Every other view answers a key with 401."""

from dataclasses import dataclass

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from saas.accounts.models import User
from saas.teams import api_keys
from saas.teams.models import ApiKey


@dataclass(frozen=True)
class ApiKeyCredential:
    """``request.auth`` of a request with an API key; ``request.user`` is then the person who made the key."""

    key: ApiKey


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer saas_…``. Any other value is left to the next authentication class."""

    def authenticate(self, request: Request) -> tuple[User, ApiKeyCredential] | None:
        scheme, _, raw = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        raw = raw.strip()
        if scheme.lower() != "bearer" or not raw.startswith(api_keys.KEY_PREFIX):
            return None
        key = api_keys.find_usable_key(raw)
        if key is None:
            raise AuthenticationFailed("This API key is not valid.", "invalid_token")
        return key.created_by, ApiKeyCredential(key)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="saas"' + (', error="invalid_token"' if "HTTP_AUTHORIZATION" in request.META else "")


# For the views that take a key; none where there are no keys.
API_KEY_CLASSES = (ApiKeyAuthentication,) if settings.API_KEYS else ()


class _ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = ApiKeyAuthentication
    name = "api_key"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "API key"}
