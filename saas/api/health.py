"""Is it alive, is it ready, do its modules work."""

import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.http import JsonResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from saas import __version__
from saas.api.views import PublicView
from saas.errors import NotFound
from saas.health import Module
from saas.operations import checks, draining

logger = logging.getLogger(__name__)

STARTED = time.monotonic()
NEEDED = {"database": checks.database, "migrations": checks.migrations}
WANTED = {"cache": checks.cache, "broker": checks.broker, "worker": checks.worker, "beat": checks.beat}


class Health(serializers.Serializer[Any]):
    status = serializers.CharField()
    service = serializers.CharField()
    version = serializers.CharField()
    uptime_seconds = serializers.FloatField()


class LiveView(PublicView):
    """The process is alive. Touches nothing else."""

    @extend_schema(operation_id="health", summary="Is the process alive", responses=Health, tags=["health"])
    def get(self, request: Request) -> Response:
        return Response(
            {
                "status": "ok",
                "service": settings.SERVICE,
                "version": __version__,
                "uptime_seconds": round(time.monotonic() - STARTED, 3),
            }
        )


class Dependency(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "failed"])
    milliseconds = serializers.FloatField()


class Readiness(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "degraded", "unavailable", "draining"])
    dependencies = serializers.DictField(child=Dependency())


class ReadyView(PublicView):
    """Each dependency's state. 503 only without the database, with pending migrations, or when this process is about to
    end: a dead worker or broker makes the service ``degraded``, and never takes the intake out of rotation."""

    @extend_schema(
        operation_id="ready",
        summary="Is the service ready",
        responses={200: Readiness, 503: Readiness},
        tags=["health"],
    )
    def get(self, request: Request) -> JsonResponse:
        needed = {name: _measured(name, check) for name, check in NEEDED.items()}
        wanted = {name: _measured(name, check) for name, check in WANTED.items()}
        status = "draining" if draining.is_on() else _verdict(needed, wanted)
        body = {"status": status, "dependencies": {**needed, **wanted}}
        return JsonResponse(body, status=503 if status in {"unavailable", "draining"} else 200)


def _verdict(needed: dict[str, Any], wanted: dict[str, Any]) -> str:
    if any(state["status"] != "ok" for state in needed.values()):
        return "unavailable"
    return "ok" if all(state["status"] == "ok" for state in wanted.values()) else "degraded"


def _measured(name: str, check: Callable[[], object]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        check()
        status = "ok"
    except Exception as error:
        logger.warning("check_failed: %s: %s", name, error)
        status = "failed"
    return {"status": status, "milliseconds": round((time.monotonic() - started) * 1000, 1)}


class ModuleHealth(serializers.Serializer[Any]):
    module = serializers.CharField()
    status = serializers.ChoiceField(["ok", "failed"])
    version = serializers.CharField()
    features = serializers.ListField(child=serializers.CharField())


class ModuleList(serializers.Serializer[Any]):
    modules = ModuleHealth(many=True)


class ModulesView(PublicView):
    """Every module of this service, each with a check that ran just now."""

    modules: ClassVar[tuple[Module, ...]] = ()

    @extend_schema(operation_id="modules", summary="Check every module", responses=ModuleList, tags=["health"])
    def get(self, request: Request) -> Response:
        return Response({"modules": [_checked(module) for module in self.modules]})


class ModuleView(PublicView):
    """One module of this service; 404 for a name it does not have."""

    modules: ClassVar[tuple[Module, ...]] = ()

    @extend_schema(operation_id="module", summary="Check a module", responses=ModuleHealth, tags=["health"])
    def get(self, request: Request, name: str) -> Response:
        for module in self.modules:
            if module.name == name:
                return Response(_checked(module))
        raise NotFound("There is no such module in this service.")


def _checked(module: Module) -> dict[str, Any]:
    outcome = _measured(module.name, module.check)
    return {
        "module": module.name,
        "status": outcome["status"],
        "version": __version__,
        "features": list(module.features),
    }
