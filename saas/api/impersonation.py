"""Requests of staff who impersonate a customer: what they may do, and their entry in the audit trail."""

from contextlib import ExitStack
from typing import Any, ClassVar

from django.db import DatabaseError, transaction
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from saas import request_context
from saas.accounts.models import Impersonation
from saas.accounts.staff import impersonations
from saas.api.problems import CODES_AND_TITLES, Problem
from saas.errors import DomainError

RETRY_SECONDS = 5


class NotWhileImpersonating(DomainError):
    code, title, status = "not_while_impersonating", "This is not done in someone else's name.", 403


class ImpersonationGuard(APIView):
    """A view that staff may use while impersonating: to read, unless ``impersonated_reads`` is off; to write only where
    ``impersonated_writes`` is on and the token may write.

    The request, its effect and its audit entry are one transaction: without the entry there is no effect.
    """

    impersonated_reads: ClassVar[bool] = True
    impersonated_writes: ClassVar[bool] = False

    @property
    def impersonation(self) -> Impersonation | None:
        try:
            return getattr(getattr(self.request, "auth", None), "impersonation", None)
        except APIException:  # bad credentials of what was refused before they were read, such as for its ``Accept``
            return None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            with ExitStack() as self._held:
                return super().dispatch(request, *args, **kwargs)
        except Exception:
            if self.impersonation:
                self._record_request(500)
            raise

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if row := self.impersonation:
            self._held.enter_context(transaction.atomic())
            here = request_context.current()._replace(impersonator=row.staff_session.user_id or "")
            self._held.enter_context(request_context.use_context(here))
            is_read = request.method in SAFE_METHODS
            if not (self.impersonated_reads if is_read else self.impersonated_writes and row.may_write):
                raise NotWhileImpersonating

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        return self._with_audit_entry(response) if self.impersonation else response

    def _with_audit_entry(self, response: Any) -> Any:
        try:
            with transaction.atomic():
                self._record_request(response.status_code)
        except DatabaseError:
            if transaction.get_connection().in_atomic_block:
                transaction.set_rollback(True)
            code, title = CODES_AND_TITLES[503]
            return Problem(503, code=code, title=title, headers={"Retry-After": str(RETRY_SECONDS)})
        return response

    def _record_request(self, status: int) -> None:
        assert self.impersonation
        match = self.request.resolver_match
        impersonations.record_request(
            self.impersonation, method=self.request.method or "", route=match.route if match else "", status=status
        )
