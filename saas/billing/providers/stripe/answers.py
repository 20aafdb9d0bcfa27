"""What Stripe's SDK returns and raises, as our gateway needs it: the JSON that was sent, and our own errors."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import stripe

from saas.billing.providers.interface import (
    CustomerMissing,
    IdempotencyMismatch,
    ProviderFailed,
    ProviderForbids,
    ProviderRefused,
    ProviderUnavailable,
    TaxIdRefused,
)
from saas.errors import DomainError
from saas.security.untrusted_json import as_text

logger = logging.getLogger(__name__)

LONGEST_SENTENCE = 500
BRIEF_KEY_SECONDS = 15 * 60


def raw_json(answer: stripe.StripeObject) -> dict[str, Any]:
    """The JSON of an answer, as it came."""
    assert answer.last_response is not None  # every answer to a call has it
    return dict(json.loads(answer.last_response.body))


def rows(page: stripe.ListObject[Any]) -> Iterator[dict[str, Any]]:
    """The objects of a list, page by page."""
    while True:
        yield from raw_json(page)["data"]
        if not page.has_more:
            return
        page = page.next_page()


def brief_key(key: str) -> str:
    """An idempotency key for a quarter of an hour, for what does little harm when it is made twice. Stripe repeats an error of
    its own to the same key for a day, in which the plan could not be sold."""
    return f"{key}:{int(time.time()) // BRIEF_KEY_SECONDS}"


def made_for(reference: str, customers: Iterable[dict[str, Any]]) -> str:
    """The id of the customer whose metadata name our ``reference``; else empty."""
    return next((row["id"] for row in customers if (row.get("metadata") or {}).get("customer_id") == reference), "")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise our errors for the SDK's. Stripe's reason for a refusal is shown to the caller. Only the error's kind, code and
    request id are logged."""
    try:
        yield
    except stripe.StripeError as error:
        facts = {"kind": type(error).__name__, "error_code": error.code, "stripe_request": error.request_id}
        logger.warning("stripe_failed %s", facts)
        raise translated(error) from error


def translated(error: stripe.StripeError) -> DomainError:
    sentence = as_text(error.user_message, LONGEST_SENTENCE)
    if isinstance(error, stripe.InvalidRequestError) and error.code == "resource_missing" and error.param == "customer":
        return CustomerMissing(sentence)
    is_tax_id = error.code == "tax_id_invalid" or str(getattr(error, "param", None)).startswith("tax_id_data")
    if isinstance(error, stripe.InvalidRequestError) and is_tax_id:
        return TaxIdRefused(sentence)
    if isinstance(error, stripe.InvalidRequestError | stripe.CardError):
        return ProviderRefused(sentence)
    if isinstance(error, stripe.IdempotencyError):
        return IdempotencyMismatch()
    if isinstance(error, stripe.PermissionError):
        return ProviderForbids()
    if error.http_status and error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderFailed(retry_after_seconds=5)
    return ProviderUnavailable(retry_after_seconds=5)
