"""Liveness, readiness and the checks of a service's modules."""

import logging
import time
from collections.abc import Mapping
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
from saas.operations import draining, readiness
from saas.operations.health import Module
from saas.operations.readiness import DependencyState, run_check

logger = logging.getLogger(__name__)

STARTED = time.monotonic()


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


class DependencyShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "failed"])
    milliseconds = serializers.FloatField()


class ReadinessShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "degraded", "unavailable", "draining"])
    dependencies = serializers.DictField(child=DependencyShape())


class ReadyView(PublicView):
    """Each dependency's state, as it was when last looked at: nothing is waited for. 503 only without the database, with
    pending migrations, or when this process is about to end: a dead worker or broker makes the service ``degraded``, and
    never takes the intake out of rotation."""

    @extend_schema(
        operation_id="ready",
        summary="Is the service ready",
        responses={200: ReadinessShape, 503: ReadinessShape},
        tags=["health"],
    )
    def get(self, request: Request) -> JsonResponse:
        states = readiness.monitor.states() if settings.READINESS_IN_BACKGROUND else readiness.check_all_now()
        status = "draining" if draining.is_draining() else _verdict(states)
        dependencies = {
            name: {"status": _word(state), "milliseconds": round(state.seconds * 1000, 1)}
            for name, state in states.items()
        }
        body = {"status": status, "dependencies": dependencies}
        return JsonResponse(body, status=503 if status in {"unavailable", "draining"} else 200)


def _verdict(states: Mapping[str, DependencyState]) -> str:
    failed = [one for one in readiness.DEPENDENCIES if not states[one.name].is_ok]
    if any(one.is_needed for one in failed):
        return "unavailable"
    return "degraded" if failed else "ok"


def _word(state: DependencyState) -> str:
    return "ok" if state.is_ok else "failed"


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
    state = run_check(module.check)
    if not state.is_ok:
        logger.warning("check_failed: %s: %s", module.name, state.error)
    return {
        "module": module.name,
        "status": _word(state),
        "version": __version__,
        "features": list(module.features),
    }
