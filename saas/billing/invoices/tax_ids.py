"""Tax ids: which kinds are taken, and whether a number is one. Kinds have the names that Stripe gives them.

The rules are python-stdnum's, by form and check digits; whether the office that gave a number still knows it, the payment
provider finds out. Of its several hundred modules only that of the kind is loaded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from saas.errors import DomainError


class BadTaxId(DomainError):
    code, title, status = "bad_tax_id", "This is not a valid tax id of this kind.", 400


@dataclass(frozen=True)
class TaxIdKind:
    """``name`` begins with the country's code, or ``eu``; ``label`` is what people there call the number; ``module`` is
    python-stdnum's. ``is_formatted``: Stripe wants it with its dashes and dots; it begins with ``prefix``. ``lengths`` and
    ``not_from`` (what it may begin with) leave out what python-stdnum takes and Stripe has under another kind."""

    name: str
    label: str
    module: str
    is_formatted: bool = False
    prefix: str = ""
    lengths: tuple[int, ...] = ()
    not_from: tuple[str, ...] = ()

    @property
    def region(self) -> str:
        return self.name[:2].upper()


KINDS = {
    kind.name: kind
    for kind in (
        TaxIdKind("eu_vat", "VAT", "eu.vat", not_from=("EU", "IM")),
        TaxIdKind("gb_vat", "VAT", "gb.vat", prefix="GB", not_from=("XI",)),
        TaxIdKind("ch_vat", "MWST/TVA/IVA", "ch.vat", is_formatted=True),
        TaxIdKind("no_vat", "MVA", "no.mva"),
        TaxIdKind("us_ein", "EIN", "us.ein", is_formatted=True),
        TaxIdKind("ca_bn", "BN", "ca.bn", lengths=(9,)),
        TaxIdKind("mx_rfc", "RFC", "mx.rfc", lengths=(12, 13)),
        TaxIdKind("au_abn", "ABN", "au.abn"),
        TaxIdKind("nz_gst", "GST", "nz.ird"),
        TaxIdKind("in_gst", "GSTIN", "in_.gstin"),
        TaxIdKind("kr_brn", "BRN", "kr.brn", is_formatted=True),
        TaxIdKind("sg_uen", "UEN", "sg.uen"),
        TaxIdKind("tr_tin", "VKN", "tr.vkn"),
    )
}


def normalize_tax_id(kind: str, number: str) -> str:
    """The number as Stripe writes those of its kind. Raises ``BadTaxId``; nothing at all is a tax id of no kind."""
    if not kind and not number:
        return ""
    if kind not in KINDS:
        raise BadTaxId(errors={"tax_id_kind": ["Choose the kind of the tax id."]})
    found = KINDS[kind]
    rules: ModuleType = import_module(f"stdnum.{found.module}")
    validate: Callable[[str], str] = rules.validate
    try:
        compact = validate(number)
    except ValueError as error:  # python-stdnum's own refusals are ValueErrors
        raise BadTaxId(errors={"tax_id": [BadTaxId.title]}) from error
    begins_elsewhere = number.strip().upper().startswith(found.not_from)
    if begins_elsewhere or (found.lengths and len(compact) not in found.lengths):
        raise BadTaxId(errors={"tax_id": [BadTaxId.title]})
    written = found.prefix + str(rules.format(compact) if found.is_formatted else compact)
    return "EL" + written[2:] if kind == "eu_vat" and written.startswith("GR") else written
