"""The company name, billing address and tax id, as they stand on invoices."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from product.billing.serializers import BillingDetailsBody, represent_billing_details
from product.pages.billing.base import OVERVIEW, BillingFormPage
from saas.api.pages.forms import Field, FormSpec
from saas.billing.invoices import billed_to
from saas.billing.invoices.tax_ids import KINDS
from saas.billing.models import BillingDetails


class _DetailsForm(BillingDetailsBody):
    """The API's, as a form sends it: the team stands in the address."""

    team_id = None  # type: ignore[assignment]


class DetailsPage(BillingFormPage):
    template = "product/pages/billing/details.html"

    def admit(self) -> HttpResponseBase | None:
        if answer := super().admit():
            return answer
        self.form = _form(get_language() or "en")  # type: ignore[misc]
        return None

    def initial(self) -> dict[str, Any]:
        return represent_billing_details(billed_to.find_billing_details(self.owner))

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        billed_to.save_billing_details(self.owner, by=self.known.user, **body)
        return self.lead_to(OVERVIEW, text=gettext("Your billing details are saved."))


def _form(language: str) -> FormSpec:
    kinds = sorted(((name, billed_to.tax_id_label(name, language)) for name in KINDS), key=lambda kind: kind[1])
    return FormSpec(
        _DetailsForm,
        Field("company_name", _("Company name"), autocomplete="billing organization", required=False),
        Field("line1", _("Street and number"), autocomplete="billing address-line1", required=False),
        Field("line2", _("Second line"), autocomplete="billing address-line2", required=False),
        Field("postal_code", _("Postal code"), autocomplete="billing postal-code", required=False),
        Field("city", _("City"), autocomplete="billing address-level2", required=False),
        Field("state", _("State or region"), autocomplete="billing address-level1", required=False),
        Field("country", _("Country"), kind="select", required=False,
              options=_choices(billed_to.country_names(language).items())),
        Field("tax_id_kind", _("Kind of tax id"), kind="select", required=False,
              options=_choices(kinds)),
        Field("tax_id", _("Tax id"), required=False, autocomplete="off"),
    )  # fmt: skip


def _choices(named: Iterable[tuple[str, str]]) -> list[tuple[str, str | Promise]]:
    return [("", _("Not given")), *named]


def shown_details(row: BillingDetails, language: str) -> dict[str, Any]:
    """What the overview shows: name, lines of the address, the tax id, what it is called and what became of it."""
    state = billed_to.tax_id_state(row)
    return {
        "company_name": row.company_name,
        "address": billed_to.address_lines(row.address, language),
        "tax_id": row.tax_id,
        "tax_id_label": billed_to.tax_id_label(row.tax_id_kind, language) if row.tax_id else "",
        "tax_id_state": state,
        "tax_id_sentence": billed_to.TAX_ID_SENTENCES[state],
    }
