"""Billing address and tax id: what is valid, how the providers learn of it, and where it stands."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args, get_type_hints

import pytest
from django.utils import timezone
from stripe.params import CustomerTaxIdCreateParams

from saas.audit.models import AuditEvent
from saas.billing.checkouts import start_checkout
from saas.billing.customers import note_refused_tax_id
from saas.billing.invoices import billed_to, tax_ids
from saas.billing.invoices.details import invoice_details
from saas.billing.models import BillingDetails, Customer, Invoice, LocalObject
from saas.billing.providers import TaxIdRefused
from saas.billing.providers.local import invoice_page, test_clock
from saas.billing.providers.stripe.billing_details import creation_params
from saas.billing.sync import profiles
from saas.billing.tests.fake_stripe import FakeStripe
from saas.billing.tests.stripe_stand_in import bill_through_stripe, stand_in
from saas.errors import Invalid
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person

ADDRESS = {"line1": "Linden 1", "line2": "", "postal_code": "10969", "city": "Berlin", "state": "", "country": "DE"}
LINES = ("Linden 1", "10969 Berlin", "Germany")
NOTHING = dict.fromkeys(ADDRESS, "")


def save(person: Person, **changes: str) -> BillingDetails:
    values = {**ADDRESS, "tax_id_kind": "eu_vat", "tax_id": "DE 136 695 976", **changes}
    return billed_to.save_billing_details(person.user, by=person.user, **values)


@pytest.mark.parametrize(
    ("kind", "number", "stored"),
    [
        ("eu_vat", "de 136-695 976", "DE136695976"),
        ("eu_vat", "GR 094259216", "EL094259216"),
        ("gb_vat", "980 7806 84", "GB980780684"),
        ("gb_vat", "GB 980 7806 84", "GB980780684"),
        ("ch_vat", "CHE107787577 IVA", "CHE-107.787.577 IVA"),
        ("no_vat", "NO 995 525 828 MVA", "995525828MVA"),
        ("us_ein", "911144442", "91-1144442"),
        ("ca_bn", "12302 6635", "123026635"),
        ("mx_rfc", "MAB-930714-8T4", "MAB9307148T4"),
        ("au_abn", "83 914 571 673", "83914571673"),
        ("nz_gst", "49091850", "49091850"),
        ("in_gst", "27AAPFU0939F1ZV", "27AAPFU0939F1ZV"),
        ("kr_brn", "1168200276", "116-82-00276"),
        ("sg_uen", "00192200M", "00192200M"),
        ("tr_tin", "4540536920", "4540536920"),
        ("", "", ""),
    ],
)
def test_a_tax_id_is_stored_as_stripe_writes_it(kind: str, number: str, stored: str) -> None:
    assert tax_ids.normalize_tax_id(kind, number) == stored


@pytest.mark.parametrize("kind", tax_ids.KINDS)
@pytest.mark.parametrize("number", ["", "DE136695977", "12", "١٢٣٤٥٦٧٨٩", "x" * 40])
def test_what_is_no_number_of_its_kind_is_refused_beside_its_field(kind: str, number: str) -> None:
    with pytest.raises(tax_ids.BadTaxId) as refusal:
        tax_ids.normalize_tax_id(kind, number)

    assert refusal.value.status == 400
    assert refusal.value.errors == {"tax_id": ["This is not a valid tax id of this kind."]}


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("eu_vat", "EU372022452"),
        ("gb_vat", "XI980780684"),
        ("ca_bn", "123026635RC0001"),
        ("mx_rfc", "MAB9307148"),
    ],
)
def test_a_number_that_stripe_has_under_another_kind_is_refused(kind: str, number: str) -> None:
    with pytest.raises(tax_ids.BadTaxId):
        tax_ids.normalize_tax_id(kind, number)


@pytest.mark.parametrize("kind", ["", "de_vat"])
def test_a_number_has_a_kind(kind: str) -> None:
    with pytest.raises(tax_ids.BadTaxId) as refusal:
        tax_ids.normalize_tax_id(kind, "DE136695976")

    assert refusal.value.errors == {"tax_id_kind": ["Choose the kind of the tax id."]}


def test_the_kinds_are_stripes() -> None:
    names, _ = get_args(get_type_hints(CustomerTaxIdCreateParams)["type"])

    assert set(tax_ids.KINDS) <= set(get_args(names))


def test_a_refused_number_changes_nothing(customer: Person) -> None:
    before = save(customer)

    with pytest.raises(tax_ids.BadTaxId):
        save(customer, line1="Elsewhere 2", tax_id="DE136695977")

    before.refresh_from_db()
    assert (before.line1, before.tax_id) == ("Linden 1", "DE136695976")
    assert AuditEvent.objects.filter(action="billing_details.changed").count() == 1


@pytest.mark.parametrize("country", ["", "XX", "EU", "de"])
def test_an_address_names_its_country(customer: Person, country: str) -> None:
    with pytest.raises(Invalid):
        save(customer, country=country)

    assert not BillingDetails.objects.exists()


def test_a_new_customers_first_invoice_has_them(customer: Person) -> None:
    save(customer)
    start_checkout(customer.user, plan_id="growth")

    shown = invoice_details(Invoice.objects.get())
    assert (shown.address, shown.tax_ids) == (LINES, ("DE136695976",))
    page = invoice_page.describe_invoice(LocalObject.objects.of_kind("invoice").get())
    assert (page.address, page.tax_ids) == (list(LINES), ["DE136695976"])
    assert profiles.send_changed_profiles() == 0  # they came with the customer


def test_what_is_changed_is_sent_once_and_stands_on_the_next_invoice(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    save(customer)

    assert [profiles.send_changed_profiles(), profiles.send_changed_profiles()] == [1, 0]

    test_clock.advance_and_process(timedelta(days=32))
    first, second = Invoice.objects.order_by("issued_at")
    assert (invoice_details(first).address, invoice_details(first).tax_ids) == ((), ())
    assert (invoice_details(second).address, invoice_details(second).tax_ids) == (LINES, ("DE136695976",))
    save(customer, **NOTHING, tax_id_kind="", tax_id="")
    assert profiles.send_changed_profiles() == 1
    there = LocalObject.objects.of_kind("customer").get().data
    assert (there["address"], there["tax_ids"]) == (None, [])


def test_a_company_stands_on_invoices_by_its_name(customer: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    save(customer, company_name="Example GmbH")

    profiles.send_changed_profiles()
    test_clock.advance_and_process(timedelta(days=32))

    first, second = Invoice.objects.order_by("issued_at")
    assert (invoice_details(first).name, invoice_details(second).name) == (customer.user.full_name, "Example GmbH")
    [_, page] = [invoice_page.describe_invoice(row) for row in LocalObject.objects.of_kind("invoice").order_by("pk")]
    assert page.customer_name == "Example GmbH"
    assert billed_to.tax_id_state(billed_to.find_billing_details(customer.user)) == "verified"

    save(customer)
    profiles.send_changed_profiles()
    assert LocalObject.objects.of_kind("customer").get().data["name"] == customer.user.full_name


def test_another_persons_details_are_not_sent(customer: Person, other: Person) -> None:
    start_checkout(customer.user, plan_id="growth")
    save(other)

    assert profiles.send_changed_profiles() == 0


def test_a_new_customer_at_stripe_has_what_is_filled_in() -> None:
    given = BillingDetails(**ADDRESS, tax_id_kind="eu_vat", tax_id="DE136695976")

    assert creation_params(given) == {"address": ADDRESS, "tax_id_data": [{"type": "eu_vat", "value": "DE136695976"}]}
    assert creation_params(BillingDetails()) == creation_params(None) == {}


@pytest.fixture
def fake(settings: Any) -> Iterator[FakeStripe]:
    there = {"id": "txi_1", "object": "tax_id", "type": "gb_vat", "value": "GB980780684"}
    answers = {
        "POST /v1/customers/cus_1": whole.customer(),
        "GET /v1/customers/cus_1/tax_ids": whole.list_page([there], "/v1/customers/cus_1/tax_ids"),
        "POST /v1/customers/cus_1/tax_ids": {**there, "id": "txi_2"},
        "DELETE /v1/customers/cus_1/tax_ids/txi_1": {"id": "txi_1", "object": "tax_id", "deleted": True},
    }
    with stand_in(answers, FakeStripe) as here:
        bill_through_stripe(settings, here.url)
        yield here


def known_customer(person: Person) -> Customer:
    told = {"told_email": person.user.email, "told_name": person.user.full_name}
    return Customer.objects.create(user=person.user, provider="stripe", external_id="cus_1", **told)


def test_stripe_gets_the_address_and_the_tax_id_instead_of_others(customer: Person, fake: FakeStripe) -> None:
    known_customer(customer)
    save(customer)

    assert profiles.send_changed_profiles() == 1

    updated, _, added, removed = fake.asked
    assert (added.method, added.fields) == ("POST", {"type": "eu_vat", "value": "DE136695976"})
    assert (removed.method, removed.path) == ("DELETE", "/v1/customers/cus_1/tax_ids/txi_1")
    assert updated.fields["address[line1]"] == "Linden 1"
    assert updated.fields["address[line2]"] == ""  # what stood there before goes
    assert updated.fields["address[country]"] == "DE"


def test_a_tax_id_that_stripe_has_stays(customer: Person, fake: FakeStripe) -> None:
    known_customer(customer)
    save(customer, **NOTHING, tax_id_kind="gb_vat", tax_id="980 7806 84")

    profiles.send_changed_profiles()

    updated, listed = fake.asked
    assert (updated.method, listed.method) == ("POST", "GET")
    assert not any(name.startswith("address") for name in updated.fields)  # Stripe's own pages may have asked for one


def test_an_address_without_a_tax_id_leaves_those_that_stripe_has(customer: Person, fake: FakeStripe) -> None:
    known_customer(customer)
    save(customer, tax_id_kind="", tax_id="")

    profiles.send_changed_profiles()

    assert [asked.path for asked in fake.asked] == ["/v1/customers/cus_1"]


def test_what_was_given_here_and_taken_back_goes_at_stripe(customer: Person, fake: FakeStripe) -> None:
    known_customer(customer)
    save(customer)
    save(customer, **NOTHING, tax_id_kind="", tax_id="")

    profiles.send_changed_profiles()

    updated, _, removed = fake.asked
    assert updated.fields["address"] == ""
    assert (removed.method, removed.path) == ("DELETE", "/v1/customers/cus_1/tax_ids/txi_1")


def test_a_customer_without_an_owner_has_nobodys_details(customer: Person) -> None:
    save(customer)

    assert not BillingDetails.objects.for_customer(Customer(provider="stripe", external_id="cus_9")).exists()


def test_who_never_gave_any_keeps_what_stripe_has(customer: Person, fake: FakeStripe) -> None:
    known_customer(customer)
    type(customer.user).objects.filter(pk=customer.user.pk).update(full_name="Kim New")

    profiles.send_changed_profiles()

    [sent] = fake.asked
    assert sent.fields == {"email": customer.user.email, "name": "Kim New"}


def test_a_refusal_of_an_earlier_number_says_nothing_of_the_next(customer: Person) -> None:
    earlier = save(customer)
    save(customer, tax_id="ATU13585627")

    note_refused_tax_id(earlier, TaxIdRefused("No such number."))

    assert BillingDetails.objects.get().tax_id_refusal == ""
    note_refused_tax_id(BillingDetails.objects.get(), TaxIdRefused("No such number."))
    assert BillingDetails.objects.get().tax_id_refusal == "No such number."
    assert save(customer, tax_id="ATU13585627").tax_id_refusal == ""  # the provider is asked once more


def test_a_refusal_is_tried_again_and_then_counts_as_sent(customer: Person, fake: FakeStripe) -> None:
    row = known_customer(customer)
    save(customer)
    good = fake.answers.pop("POST /v1/customers/cus_1/tax_ids")
    assert profiles.send_changed_profiles() == 0
    row.refresh_from_db()
    assert (row.told_details_at, row.profile_failures) == (None, 1)
    assert "DELETE" not in {asked.method for asked in fake.asked}

    fake.answers["POST /v1/customers/cus_1/tax_ids"] = good
    Customer.objects.update(profile_due_at=timezone.now())
    assert profiles.send_changed_profiles() == 1
