"""Cards, invoices, and the number that must never come in."""

import logging
from datetime import UTC, datetime

import pytest
import time_machine

from saas.audit.models import AuditEvent
from saas.billing.models import Checkout, Customer, Invoice, LocalObject, PaymentMethod
from saas.billing.providers.interface import ProviderUnavailable
from saas.billing.providers.local.gateway import LocalGateway
from saas.logs import LineFormatter
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories import team_factories, user_factories
from saas.testing.factories.user_factories import Person

CARD = {"type": "card", "provider": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2035}
NUMBER = "4242 4242 4242 4242"
NUMBERS = [
    NUMBER,
    "4242424242424242",
    "4242-4242-4242-4242",
    "378282246310005",
    "4222222222222",
    "6304000000000000000",
    "my card is 4242.4242.4242.4242, thanks",
    "４２４２４２４２４２４２４２４２",
    4242424242424242,
]


def add(product: ServiceClient, person: Person, **changes: object):
    return product.post("/api/billing/payment-method", {**CARD, **changes}, token=person.token)


def test_a_card_is_added_and_shown_without_its_number(product: ServiceClient, customer: Person) -> None:
    answer = add(product, customer)

    assert answer.status_code == 201
    shown = answer.json()["payment_method"]
    assert {name: shown[name] for name in CARD} == CARD
    assert shown["is_default"] is True
    listed = product.get("/api/billing/payment-methods", token=customer.token).json()
    assert listed == {"payment_methods": [shown], "count": 1, "next": None}


def test_the_newest_card_is_the_one_that_pays(product: ServiceClient, customer: Person) -> None:
    add(product, customer)
    add(product, customer, last4="4444", provider="mastercard")

    rows = product.get("/api/billing/payment-methods", token=customer.token).json()["payment_methods"]

    assert [(row["last4"], row["is_default"]) for row in rows] == [("4444", True), ("4242", False)]


def test_a_card_is_removed_by_its_owner_only(product: ServiceClient, customer: Person, other: Person) -> None:
    path = f"/api/billing/payment-methods/{add(product, customer).json()['payment_method']['id']}"

    assert product.delete(path, token=other.token).status_code == 404
    assert product.delete(path, token=customer.token).status_code == 204
    assert product.delete(path, token=customer.token).status_code == 404
    assert product.get("/api/billing/payment-methods", token=customer.token).json()["payment_methods"] == []
    audited = AuditEvent.objects.filter(action__startswith="payment_method.").order_by("pk")
    assert list(audited.values_list("action", "actor", "target")) == [
        ("payment_method.added", customer.user.pk, Customer.objects.get().pk),
        ("payment_method.removed", customer.user.pk, path.rpartition("/")[2]),
    ]


def test_a_declined_card_is_refused(product: ServiceClient, customer: Person) -> None:
    answer = add(product, customer, last4="0002")

    assert (answer.status_code, answer.json()["code"]) == (409, "payment_declined")
    assert PaymentMethod.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"last4": "42"}, "last4"),
        ({"last4": "42a2"}, "last4"),
        ({"last4": "٤٢٤٢"}, "last4"),
        ({"last4": 4242}, "last4"),
        ({"exp_month": 13}, "exp_month"),
        ({"exp_month": "12"}, "exp_month"),
        ({"exp_month": None}, "exp_month"),
        ({"exp_year": 2001}, "exp_year"),
        ({"type": "customer"}, "type"),
        ({"provider": ""}, "provider"),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    product: ServiceClient, customer: Person, changes: dict[str, object], field: str
) -> None:
    answer = add(product, customer, **changes)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert PaymentMethod.objects.count() == 0


@pytest.mark.parametrize(("year", "month", "status"), [(2030, 5, 201), (2030, 4, 422), (2029, 12, 422)])
def test_a_card_is_valid_until_its_month_is_over(
    product: ServiceClient, db: None, year: int, month: int, status: int
) -> None:
    with time_machine.travel(datetime(2030, 5, 31, 23, tzinfo=UTC)):
        answer = add(product, user_factories.create_customer(), exp_year=year, exp_month=month)

    assert answer.status_code == status


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["last4", "provider", "note"])
def test_a_card_number_is_refused_in_whatever_field(
    product: ServiceClient, customer: Person, field: str, number: object
) -> None:
    answer = add(product, customer, **{field: number})

    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert str(number) not in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "subscriptions/checkout",
        "subscriptions/change",
        "subscriptions/cancel",
        "subscriptions/resume",
        "billing/portal",
    ],
)
def test_no_endpoint_of_billing_takes_a_card_number(product: ServiceClient, customer: Person, path: str) -> None:
    answer = product.post(f"/api/{path}", {"plan_id": "starter", "deep": [{"er": NUMBER}]}, token=customer.token)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["deep.0.er"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "billing/invoices"), ("GET", "subscriptions/current"), ("POST", "subscriptions/resume")],
)
def test_no_query_of_billing_takes_a_card_number(
    product: ServiceClient, customer: Person, method: str, path: str
) -> None:
    answer = product.send(method, f"/api/{path}?team_id=4242+4242+4242+4242", token=customer.token)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["team_id.0"])


def test_no_key_of_a_checkout_is_a_card_number(product: ServiceClient, customer: Person) -> None:
    headers = {"Idempotency-Key": "4242-4242-4242-4242"}

    answer = product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token, headers=headers)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["Idempotency-Key"])
    assert not Checkout.objects.exists()


def test_a_team_has_cards_invoices_and_a_portal_of_its_own(product: ServiceClient, customer: Person) -> None:
    team = team_factories.create_team(customer)
    body = {"plan_id": "starter", "team_id": team.id}
    product.post("/api/subscriptions/checkout", body, token=customer.token)
    card = add(product, customer, team_id=team.id).json()["payment_method"]

    listed = product.get(f"/api/billing/payment-methods?team_id={team.id}", token=customer.token).json()
    invoices = product.get(f"/api/billing/invoices?team_id={team.id}", token=customer.token).json()["invoices"]
    portal = product.post("/api/billing/portal", {"team_id": team.id}, token=customer.token)

    assert [row["id"] for row in listed["payment_methods"]] == [card["id"]]
    assert [row["total_cents"] for row in invoices] == [1_900]
    assert portal.status_code == 201
    visit = LocalObject.objects.get(pk=portal.json()["url"].rpartition("/")[2])
    assert visit.customer_id == Customer.objects.get(team=team).external_id
    assert visit.data["return_url"] == f"http://localhost:8000/teams/{team.pk}/billing?from=portal"
    assert product.get("/api/billing/payment-methods", token=customer.token).json()["payment_methods"] == []
    gone = product.delete(f"/api/billing/payment-methods/{card['id']}?team_id={team.id}", token=customer.token)
    assert gone.status_code == 204


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "billing/payment-methods"), ("GET", "billing/invoices"), ("DELETE", "billing/payment-methods/pm_1")],
)
def test_only_an_owner_sees_how_a_team_pays(
    product: ServiceClient, customer: Person, role: Role, method: str, path: str
) -> None:
    team = team_factories.create_team(customer)
    member = team_factories.add_member(team, role)

    answer = product.send(method, f"/api/{path}?team_id={team.id}", token=member.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("text", ["4242424242424241", "12345678", "usr_01k3", "2026-11-23 14:30:00", "1" * 25])
def test_what_is_no_card_number_is_let_through(product: ServiceClient, customer: Person, text: str) -> None:
    assert add(product, customer, note=text).status_code == 201


@pytest.mark.parametrize("number", [NUMBER, "4242424242424242", "4242-4242-4242-4242"])
def test_no_log_line_holds_a_card_number(number: str) -> None:
    record = logging.LogRecord("saas", logging.INFO, "", 0, "GET /?card=%s paid", (number,), None)
    record.request_id = "req_1"

    line = LineFormatter().format(record)

    assert line.endswith("GET /?card=[card number] paid")


def test_a_checkout_leaves_a_paid_invoice(product: ServiceClient, customer: Person, other: Person) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)

    mine = product.get("/api/billing/invoices", token=customer.token).json()

    (invoice,) = mine["invoices"]
    assert (invoice["status"], invoice["total_cents"], invoice["amount_paid_cents"]) == ("paid", 7_900, 7_900)
    assert invoice["paid_at"] is not None
    assert product.get("/api/billing/invoices", token=other.token).json()["invoices"] == []


def test_an_invoice_got_alone_has_a_link_that_is_valid_now(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    (listed,) = product.get("/api/billing/invoices", token=customer.token).json()["invoices"]
    Invoice.objects.update(hosted_url="https://invoice.example/expired")
    path = f"/api/billing/invoices/{listed['id']}"

    assert product.get(path, token=customer.token).json() == {"invoice": listed}
    assert product.get(path, token=other.token).status_code == 404


@pytest.mark.parametrize("status", ["draft", "deleted"])
def test_an_invoice_that_is_not_issued_is_not_shown(product: ServiceClient, customer: Person, status: str) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    (listed,) = product.get("/api/billing/invoices", token=customer.token).json()["invoices"]
    Invoice.objects.update(status=status)

    assert product.get(f"/api/billing/invoices/{listed['id']}", token=customer.token).status_code == 404


def test_the_stored_link_is_given_while_the_provider_does_not_answer(
    product: ServiceClient, customer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    (listed,) = product.get("/api/billing/invoices", token=customer.token).json()["invoices"]

    def down(self: LocalGateway, invoice_id: str) -> str:
        raise ProviderUnavailable

    monkeypatch.setattr(LocalGateway, "invoice_url", down)

    answer = product.get(f"/api/billing/invoices/{listed['id']}", token=customer.token)

    assert answer.json() == {"invoice": listed}


@pytest.mark.parametrize("path", ["/api/billing/invoices", "/api/billing/payment-methods"])
def test_the_lists_cost_three_queries(product, customer: Person, django_assert_num_queries, path: str) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    add(product, customer)
    add(product, customer)

    with django_assert_num_queries(3):  # session, count, page
        assert product.get(path, token=customer.token).status_code == 200
