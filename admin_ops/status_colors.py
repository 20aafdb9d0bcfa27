"""The colour of each status on the admin site, as unfold names the variants of its labels."""

GOOD, BAD, WARN, NEWS = "success", "danger", "warning", "info"

STATUS_COLORS = {
    # people
    "active": GOOD,
    "disabled": BAD,
    "deleted": "",
    # sessions, keys, payment methods
    "ended": "",
    "revoked": "",
    "removed": "",
    # subscriptions, invoices, checkouts
    "trialing": NEWS,
    "past_due": WARN,
    "unpaid": BAD,
    "incomplete": WARN,
    "paused": WARN,
    "canceled": "",
    "paid": GOOD,
    "open": WARN,
    "uncollectible": BAD,
    "pending": NEWS,
    "expired": "",
    # what is given or sold
    "counts": GOOD,
    "sold": GOOD,
    "redeemable": GOOD,
    # events, attempts, mails, replays
    "processed": GOOD,
    "queued": NEWS,
    "running": NEWS,
    "replay_queued": NEWS,
    "retry_scheduled": WARN,
    "postponed": NEWS,
    "lost": BAD,
    "failed": BAD,
    "quarantined": BAD,
    "sent": GOOD,
    "done": GOOD,
}


def status_color(state: str) -> str:
    """Empty, which is grey, for an unknown status."""
    return STATUS_COLORS.get(state, "")


def humanize(state: str) -> str:
    """``retry_scheduled`` as "retry scheduled"."""
    return state.replace("_", " ").replace("-", " ").replace("api keys", "API keys")
