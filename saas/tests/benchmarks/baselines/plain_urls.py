"""Plain Django views with the same queries as ours, and a bare password hash."""

import hashlib
import os

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

from product.billing.serializers import PlanShape
from saas.accounts.models import Audience, LoginSession
from saas.accounts.sessions import session_store, tokens
from saas.api.accounts.serializers import UserShape
from saas.api.representation import represent, represent_all
from saas.billing.models import Plan


def me_by_bearer(request: HttpRequest) -> JsonResponse:
    token = tokens.read_access_token(request.headers["Authorization"].removeprefix("Bearer "), Audience.CUSTOMER)
    session = LoginSession.objects.live().get(sid=token["sid"], audience=Audience.CUSTOMER)
    return JsonResponse({"user": represent(UserShape, session.user), "impersonation": None})


def me_by_cookie(request: HttpRequest) -> JsonResponse:
    key = session_store.hash_cookie_key(request.COOKIES[settings.SESSION_COOKIE_NAME])
    session = LoginSession.objects.live().get(session_key=key)
    return JsonResponse({"user": represent(UserShape, session.user), "impersonation": None})


def plans(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"plans": represent_all(PlanShape, Plan.objects.on_sale())})


def bare_hash(request: HttpRequest) -> JsonResponse:
    hashlib.pbkdf2_hmac("sha256", b"correct horse battery", os.urandom(16), settings.PASSWORD_ITERATIONS)
    return JsonResponse({})


urlpatterns = [
    path("me/bearer", me_by_bearer),
    path("me/cookie", me_by_cookie),
    path("plans", plans),
    path("hash", bare_hash),
]
