"""Who is billed: the company's name, billing address and tax id that an owner gives, and how they are written."""

from collections.abc import Mapping
from unicodedata import normalize

from babel import Locale
from django.db import transaction
from django.utils.translation import gettext_noop as _

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing import clock
from saas.billing.invoices.tax_ids import KINDS, normalize_tax_id
from saas.billing.models import BillingDetails, Owner, TaxId
from saas.billing.models.billing_details import ADDRESS_FIELDS
from saas.billing.models.customers import owner_fields
from saas.errors import Invalid
from saas.localization.languages import supported_language

_NO_COUNTRIES = {
    "EU",
    "EZ",
    "UN",
    "QO",
    "XA",
    "XB",
    "ZZ",
    "AC",
    "CP",
    "CQ",
    "DG",
    "EA",
    "IC",
    "TA",
}  # but CLDR names them


def country_names(language: str) -> dict[str, str]:
    """By ISO code, in the order of the names (Ä is sorted as A)."""
    named = _territories(language)
    codes = [code for code in named if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES]
    return {code: named[code] for code in sorted(codes, key=lambda code: normalize("NFKD", named[code]))}


def _territories(language: str) -> Mapping[str, str]:
    return Locale.parse(supported_language(language)).territories


def tax_id_label(kind: str, language: str) -> str:
    """``Switzerland: MWST/TVA/IVA``; the name itself of a kind that we do not take."""
    found = KINDS.get(kind)
    return f"{_territories(language)[found.region]}: {found.label}" if found else kind


def address_lines(address: Mapping[str, object], language: str) -> list[str]:
    """As it is written on an envelope, with the country's name. ``address`` has Stripe's fields."""
    part = {name: str(address.get(name) or "") for name in ADDRESS_FIELDS}
    country = _territories(language).get(part["country"], part["country"])
    place = " ".join(filter(None, (part["postal_code"], part["city"])))
    return [line for line in (part["line1"], part["line2"], place, part["state"], country) if line]


def find_billing_details(owner: Owner) -> BillingDetails:
    """What is stored, with what the provider says of its tax ids; or an empty row that is not stored."""
    return BillingDetails.objects.for_owner(owner).with_tax_id_status().first() or BillingDetails()


# Of each state of a tax id, what its owner is told. Stripe checks numbers of a few kinds with the office that gave them.
TAX_ID_SENTENCES = {
    "": "",
    "pending": _("It is being checked."),
    "verified": _("The tax office knows it."),
    "unverified": _("The tax office does not know it. Check the number: invoices show it all the same."),
    "unavailable": _("Numbers of this kind are not checked."),
    "refused": _("The payment provider does not take it, so it is on no invoice. Check the number and its kind."),
}


def tax_id_state(row: BillingDetails) -> str:
    """A name of ``TAX_ID_SENTENCES``: of what the provider says of the tax id of a row of ``find_billing_details``."""
    if not row.tax_id:
        return ""
    if row.tax_id_refusal:
        return "refused"
    status = getattr(row, "tax_id_status", None) or TaxId.Status.PENDING
    return status if status in TAX_ID_SENTENCES else TaxId.Status.PENDING.value


@transaction.atomic
def save_billing_details(
    owner: Owner, *, by: User, tax_id_kind: str, tax_id: str, company_name: str = "", **address: str
) -> BillingDetails:
    """Replace name, address and tax id; what is empty is no longer there. A task sends them to the provider
    (``sync.profiles``), which is asked once more for a tax id that it has refused.

    Raises ``BadTaxId``, and ``Invalid`` for an address without a country.
    """
    row, _is_new = BillingDetails.objects.select_for_update().get_or_create(**owner_fields(owner))
    if any(address.values()) and address.get("country") not in country_names("en"):
        raise Invalid(errors={"country": ["Choose the country."]})
    address_before, tax_id_before = row.address, (row.tax_id_kind, row.tax_id)
    if (tax_id_kind, tax_id) != tax_id_before:  # the provider may take what we would not
        tax_id = normalize_tax_id(tax_id_kind, tax_id)
    values = {**address, "company_name": company_name, "tax_id_kind": tax_id_kind, "tax_id": tax_id}
    for name, value in {**values, "tax_id_refusal": "", "changed_at": clock.now()}.items():
        setattr(row, name, value)
    row.had_address = row.had_address or row.address != address_before
    row.had_tax_id = row.had_tax_id or (row.tax_id_kind, row.tax_id) != tax_id_before
    row.save()
    record("billing_details.changed", actor=by.pk, target=row.pk)
    return find_billing_details(owner)
