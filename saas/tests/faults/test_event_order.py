"""Events of the payment provider in the wrong order, with ties and kills: every row is right, or flagged as ambiguous."""

import random
import time
from itertools import pairwise

import pytest

from saas.tests.faults.deliveries import fault_event
from saas.tests.faults.webhook_system import short_or_long

pytestmark = [pytest.mark.faults, pytest.mark.slow]

PRICE = {"id": "price_1", "object": "price", "unit_amount": 1900, "currency": "usd", "recurring": {"interval": "month"}}
STATUSES = ["incomplete", "active", "past_due", "active", "active", "past_due", "canceled"]
OBJECT = "customer.subscription"


def test_33_40_unordered_subscriptions_end_right_or_flagged(system):
    rng = random.Random(33)
    histories = {
        f"sub_{number}": subscription_history(f"sub_{number}", rng) for number in range(short_or_long(25, 1000))
    }
    events = [event for history in histories.values() for event in history]
    repeats = rng.sample(events, len(events) // 10)
    rng.shuffle(events)
    system.call("store", payloads=[*events, *repeats])
    started = time.monotonic()

    system.start_processes("worker", short_or_long(4, 8))
    kills = system.kill_workers_until(system.is_drained, rounds=short_or_long(10, 10_000))
    system.wait_until_drained()

    rows = system.call("subscriptions")
    wrong = {
        id: rows.get(id)
        for id, events in histories.items()
        if rows.get(id, [None] * 3)[:2] != last_of(events) and not rows[id][2]
    }
    flagged = sum(ambiguous for _, _, ambiguous in rows.values())
    seconds = time.monotonic() - started
    system.report_figure(
        f"33: {len(histories)} subscriptions, {len(events)} events, {kills} kills, {seconds:.0f} s, "
        f"{flagged} flagged, {len(wrong)} wrong"
    )
    assert wrong == {}
    assert len(rows) == len(histories)
    assert system.call("differences") == []


def test_32_a_deletion_that_comes_first_stays_whatever_comes_later(system):
    rng = random.Random(32)
    events = subscription_history("sub_1", rng, length=7, ties=0.0)
    system.call("store", payloads=events[::-1])
    system.start_processes("worker", 2)
    system.wait_until_drained()
    assert system.call("subscriptions") == {"sub_1": ["canceled", 6, False]}

    older = {**events[1], "id": "evt_older", "created": events[0]["created"] - 1}
    created_and_updated_in_a_second = [
        {**event, "created": events[0]["created"]} for event in subscription_history("sub_2", rng)[:2]
    ]
    system.call("store", payloads=[events[1], older, *created_and_updated_in_a_second[::-1]])
    system.wait_until_drained()

    assert system.call("subscriptions") == {"sub_1": ["canceled", 6, False], "sub_2": ["active", 1, False]}


def test_34_one_customers_events_run_one_by_one_and_block_no_other(system):
    count = short_or_long(40, 500)
    crowd = [fault_event(f"lane_{number}", customer="cus_crowd", after=0.005) for number in range(count)]
    spread = [fault_event(f"spread_{number}") for number in range(count)]
    head = fault_event("head", customer="cus_crowd", raises="error")
    system.call("store", payloads=[head, *crowd, *spread])

    system.start_processes("worker", 4)
    system.wait_until(lambda: len(system.effects()) == 2 * count)

    began = [at for (at,) in system.sql("SELECT began FROM fault_effect WHERE lane = 'cus_crowd' ORDER BY began")]
    overlapping = [one for one, other in pairwise(began) if (other - one).total_seconds() < 0.005]
    assert overlapping == []
    assert system.repeated_effects() == []
    assert system.statuses() == {"processed": 2 * count, "retry_scheduled": 1}


def subscription_history(id, rng, *, length=None, ties=0.6):
    """Return a subscription's events in their true order; many neighbours share a second."""
    length = length or rng.randint(2, len(STATUSES))
    at, events, before = 1_700_000_000, [], None
    for number, status in enumerate(STATUSES[:length]):
        at += 0 if number and rng.random() < ties else rng.randint(1, 9)
        snapshot = {"status": status, "quantity": number or 1, "cancel_at_period_end": False}
        verb = "created" if before is None else "deleted" if status == "canceled" else "updated"
        events.append(subscription_event(id, number, verb, at, snapshot, before))
        before = snapshot
    return events


def subscription_event(id, number, verb, at, snapshot, before):
    line = {"id": f"si_{id}", "object": "subscription_item", "price": PRICE, "quantity": snapshot["quantity"]}
    thing = {"id": id, "object": "subscription", "customer": f"cus_{id}", "currency": "usd", "items": {"data": [line]}}
    data = {"object": {**thing, "status": snapshot["status"], "cancel_at_period_end": False, "step": number}}
    if before and verb == "updated":
        data["previous_attributes"] = {"status": before["status"], "step": number - 1}
    return {
        "id": f"evt_{id}_{number}",
        "type": f"{OBJECT}.{verb}",
        "created": at,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": data,
    }


def last_of(events):
    thing = events[-1]["data"]["object"]
    return [thing["status"], thing["items"]["data"][0]["quantity"]]
