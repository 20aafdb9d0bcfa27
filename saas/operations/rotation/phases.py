"""Which phase of a rotation may come next. Each phase is one rolling restart with other environment variables.

1. The next value is accepted everywhere: it stands in the fallbacks.
2. The next value signs everywhere: the two have changed places.
3. The earlier value is dropped, once nothing needs it.

Until it is dropped, each step can be taken back by the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from saas.operations.models import ProcessSecrets, SignedSecret
from saas.operations.rotation.rotating_secrets import RotatingSecret


@dataclass(frozen=True)
class NextPhase:
    """``may_begin``: whether what ``sentence`` says may be done now; otherwise it says what to wait for."""

    may_begin: bool
    sentence: str


def next_phase(secret: RotatingSecret, processes: Sequence[ProcessSecrets], now: datetime) -> NextPhase:
    """Return the next phase, by what the running processes report."""
    accepted = {process.label: process.accepted.get(secret.name, []) for process in processes}
    if not any(accepted.values()):
        return NextPhase(False, f"No running process reports {secret.name}: start the services first.")
    signing = {values[0] for values in accepted.values() if values}
    everywhere = set.intersection(*map(set, accepted.values()))
    known = {value for values in accepted.values() for value in values}
    if missing := known - everywhere:
        return _not_everywhere(secret, accepted, missing, signing)
    if len(signing) > 1:
        return _two_sign(secret, accepted)
    if known == signing:
        return NextPhase(
            True, f"Phase 1 may begin: add a new value to {secret.other_values} of every process, and restart them."
        )
    return _one_signs(secret, known - signing, now)


def _not_everywhere(
    secret: RotatingSecret, accepted: dict[str, list[str]], missing: set[str], signing: set[str]
) -> NextPhase:
    value = sorted(missing & signing or missing)[0]
    behind = ", ".join(name for name, values in accepted.items() if value not in values)
    advice = (
        f"it signs elsewhere, so what it signs is refused there: add it to {secret.other_values} at once"
        if value in signing
        else f"wait until they have been restarted with it in {secret.other_values}, or without it everywhere"
    )
    return NextPhase(False, f"{value} is not accepted by {behind}: {advice}.")


def _two_sign(secret: RotatingSecret, accepted: dict[str, list[str]]) -> NextPhase:
    newest = SignedSecret.objects.filter(secret=secret.name).order_by("-first_signed_at").values_list("fingerprint")
    following = newest[0][0]
    behind = ", ".join(name for name, values in accepted.items() if values[0] != following)
    return NextPhase(False, f"Phase 2 is under way: {following} does not sign yet in {behind}.")


def _one_signs(secret: RotatingSecret, others: set[str], now: datetime) -> NextPhase:
    earlier = SignedSecret.objects.filter(secret=secret.name, fingerprint__in=others)
    if not earlier.exists():
        return NextPhase(
            True,
            f"Phase 2 may begin: {sorted(others)[0]} is accepted everywhere. Set it as {secret.name}, and the "
            f"present value in {secret.other_values}, of every process, and restart them.",
        )
    last = max(use.last_signed_at for use in earlier)
    if now - last < secret.needed_for:
        until = last + secret.needed_for
        return NextPhase(
            False, f"Keep the earlier value until {until:%Y-%m-%d %H:%M} UTC: so long its signatures are valid."
        )
    if secret.count_unmoved and (unmoved := secret.count_unmoved()):
        return NextPhase(False, f"Keep the earlier value: {unmoved:,} {secret.unmoved}.")
    return NextPhase(True, f"Phase 3 may begin: nothing needs the earlier value. Take it out of {secret.other_values}.")
