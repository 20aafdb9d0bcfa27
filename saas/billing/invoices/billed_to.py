"""Who is billed: the billing address and the tax id that an owner gives, and how they are written."""

from collections.abc import Mapping
from unicodedata import normalize

from babel import Locale
from django.db import transaction
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing.invoices.tax_ids import KINDS, normalize_tax_id
from saas.billing.models import BillingDetails, Owner
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
    """What is stored, or an empty row that is not."""
    return BillingDetails.objects.for_owner(owner).first() or BillingDetails()


@transaction.atomic
def save_billing_details(owner: Owner, *, by: User, tax_id_kind: str, tax_id: str, **address: str) -> BillingDetails:
    """Replace address and tax id; what is empty is no longer there. A task sends them to the provider (``sync.profiles``).

    Raises ``BadTaxId``, and ``Invalid`` for an address without a country.
    """
    values = {**address, "tax_id_kind": tax_id_kind, "tax_id": normalize_tax_id(tax_id_kind, tax_id)}
    if any(address.values()) and address.get("country") not in country_names("en"):
        raise Invalid(errors={"country": ["Choose the country."]})
    row, _ = BillingDetails.objects.select_for_update().get_or_create(**owner_fields(owner))
    for name, value in {**values, "changed_at": timezone.now()}.items():
        setattr(row, name, value)
    row.had_address, row.had_tax_id = row.had_address or bool(row.address), row.had_tax_id or bool(row.tax_id)
    row.save()
    record("billing_details.changed", actor=by.pk, target=row.pk)
    return row
