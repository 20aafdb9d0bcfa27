"""Base classes of every API view.

Authentication and permissions are set here, not in DRF's settings, because DRF binds its defaults at import: a test run
with all four services would use those of the wrong one.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from saas.accounts import second_factor
from saas.accounts.models import LoginSession, User
from saas.api.authentication import (
    CustomerBearer,
    CustomerCookie,
    SessionCredential,
    StaffBearer,
    StaffCookie,
)
from saas.api.impersonation import ImpersonationGuard
from saas.api.rate_limits import (
    READS,
    WRITES,
    RateLimit,
    Usage,
    count_request,
    rate_limit_headers,
    require_within_limit,
)


class ApiView(APIView):
    """What public and private views share: a validated body or query, and the rate limits named in ``limits``."""

    limits: ClassVar[tuple[RateLimit, ...]] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.usages: list[Usage] = []

    def body(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        """The request's JSON object, validated. 400 if there is none, 422 with the fields if it does not fit."""
        if not self._has_body():
            raise ParseError("Send a JSON object.")
        return _validated(serializer_class, self.request.data)

    def optional_body(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        """The same where the body is optional: none counts as ``{}``."""
        return _validated(serializer_class, self.request.data if self._has_body() else {})

    def _has_body(self) -> bool:
        return bool(self.request.META.get("CONTENT_LENGTH", "").strip("0"))

    def query(self, serializer_class: type[Serializer[Any]]) -> dict[str, Any]:
        """The query string, validated; 422 with the fields if it does not fit."""
        return _validated(serializer_class, self.request.query_params.dict())

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The methods, in the ``Allow`` header; DRF would publish the docstrings."""
        return Response(status=204)

    def check_throttles(self, request: Request) -> None:
        self.enforce_limits(*self.limits)

    def enforce_limits(self, *limits: RateLimit) -> None:
        """Count this request; called by a view itself where a limit depends on more than the caller."""
        for limit in limits:
            if usage := count_request(limit, self.request):
                self.usages.append(usage)
                require_within_limit(usage)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in rate_limit_headers(self.usages).items() if self.usages else ():
            response.headers[name] = value
        return response


def _validated(serializer_class: type[Serializer[Any]], data: object) -> dict[str, Any]:
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class PublicView(ApiView):
    """For everyone. Credentials are not read."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class _AuthenticatedView(ApiView):
    """Every request also counts against the caller's limit of reads or writes."""

    permission_classes = (IsAuthenticated,)

    def check_throttles(self, request: Request) -> None:
        super().check_throttles(request)
        self.enforce_limits(READS if request.method in SAFE_METHODS else WRITES)

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    @property
    def session(self) -> LoginSession:
        return cast(SessionCredential, self.request.auth).session


class CustomerView(ImpersonationGuard, _AuthenticatedView):
    """For customers, by bearer token or cookie (Product and Parity), and for staff who impersonate one."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (CustomerBearer, CustomerCookie)


class StaffView(_AuthenticatedView):
    """For staff, by bearer token or cookie (Admin ops and the operator API of Webhooks)."""

    authentication_classes = (StaffBearer, StaffCookie)
    allows_missing_second_factor: ClassVar[bool] = False  # for staff who must still set one up

    def check_permissions(self, request: Request) -> None:
        if (
            request.user.is_authenticated
            and not self.allows_missing_second_factor
            and second_factor.is_enrolment_required(self.session)
        ):
            raise second_factor.EnrolmentRequired
        super().check_permissions(request)


class StaffMay(BasePermission):
    """The caller's roles include the permission that the view names in ``needs``; a view without one is for all staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user.is_staff and view.may(view.needs))  # type: ignore[attr-defined]
