"""Moving the payers of an earlier price, over the API of staff and in Django admin."""

from datetime import timedelta

import pytest

from saas.accounts.staff.staff_roles import StaffRole
from saas.billing import clock
from saas.billing.catalogue.prices import change_price
from saas.billing.checkouts import start_checkout
from saas.billing.models import Price, PriceMove, PriceTerms, Subscription
from saas.testing.factories import user_factories


@pytest.fixture
def old(customer) -> Price:
    start_checkout(customer.user, plan_id="growth")
    change_price("growth", PriceTerms("usd", "month", 9_900), by="system")
    return Price.objects.get(external_id=Subscription.objects.get().price_id)


def test_the_payers_of_a_price_are_previewed_moved_and_the_move_called_off(admin_ops, staff_member, customer, old):
    preview = admin_ops.get(f"/api/admin/prices/{old.pk}/move/preview", token=staff_member.token)
    assert [(row["email"], row["pays"], row["will_pay"]) for row in preview.json()["payers"]] == [
        (customer.user.email, 79, 99)
    ]

    body = {"effective_at": (clock.now() + timedelta(days=15)).isoformat(), "reason": "Costs rose."}
    planned = admin_ops.post(f"/api/admin/prices/{old.pk}/move", body, token=staff_member.token)
    assert planned.status_code == 201, planned.text
    assert (planned.json()["move"]["subscriptions"], planned.json()["move"]["waiting"]) == (1, 1)

    path = f"/api/admin/price-moves/{planned.json()['move']['id']}/call-off"
    ended = admin_ops.post(path, {"reason": "Not yet."}, token=staff_member.token)
    assert (ended.status_code, ended.json()["move"]["is_called_off"]) == (200, True)
    assert admin_ops.post(path, {"reason": "Again."}, token=staff_member.token).json()["code"] == "price_move_ended"


def test_a_price_that_is_not_there_is_not_found(admin_ops, staff_member, db):
    for price in ("0", "nothing"):
        assert admin_ops.get(f"/api/admin/prices/{price}/move/preview", token=staff_member.token).status_code == 404


def test_support_may_look_and_not_move(admin_ops, old):
    support = user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE)
    body = {"effective_at": (clock.now() + timedelta(days=15)).isoformat(), "reason": "Costs rose."}

    assert admin_ops.get(f"/api/admin/prices/{old.pk}/move/preview", token=support.token).status_code == 200
    assert admin_ops.post(f"/api/admin/prices/{old.pk}/move", body, token=support.token).status_code == 403
    assert not PriceMove.objects.exists()
