"""The phases of a rotation, by what the running processes report."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from saas.operations.models import ProcessSecrets, SignedSecret
from saas.operations.processes import process_name
from saas.operations.rotation.phases import NextPhase, next_phase
from saas.operations.rotation.process_reports import report_secrets, running_processes
from saas.operations.rotation.rotating_secrets import RotatingSecret, rotating_secrets

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = RotatingSecret("KEY", list, needed_for=timedelta(days=1))


def running(**accepted: str) -> list[ProcessSecrets]:
    """``product="old new"``: a process that signs with old and accepts new."""
    return [ProcessSecrets(name="a:1", role=role, accepted={"KEY": text.split()}) for role, text in accepted.items()]


def signed(fingerprint: str, first: datetime, last: datetime) -> None:
    SignedSecret.objects.create(secret="KEY", fingerprint=fingerprint, first_signed_at=first, last_signed_at=last)


CASES = {
    "nothing runs": ({}, NextPhase(False, "No running process reports KEY: start the services first.")),
    "one value everywhere": (
        {"product": "old", "worker": "old"},
        NextPhase(True, "Phase 1 may begin: add a new value to KEY_FALLBACKS of every process, and restart them."),
    ),
    "the next one not yet everywhere": (
        {"product": "old new", "worker": "old"},
        NextPhase(
            False,
            "new is not accepted by worker a:1: wait until they have been restarted with it in KEY_FALLBACKS, or without "
            "it everywhere.",
        ),
    ),
    "the next one everywhere": (
        {"product": "old new", "worker": "old new"},
        NextPhase(
            True,
            "Phase 2 may begin: new is accepted everywhere. Set it as KEY, and the present value in KEY_FALLBACKS, of "
            "every process, and restart them.",
        ),
    ),
    "one signs with what another refuses": (
        {"product": "new old", "worker": "old"},
        NextPhase(
            False,
            "new is not accepted by worker a:1: it signs elsewhere, so what it signs is refused there: add it to "
            "KEY_FALLBACKS at once.",
        ),
    ),
    "two sign": (
        {"product": "new old", "worker": "old new"},
        NextPhase(False, "Phase 2 is under way: new does not sign yet in worker a:1."),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_next_phase_follows_from_what_processes_report(case: str) -> None:
    accepted, expected = CASES[case]
    signed("old", NOW - timedelta(days=90), NOW)
    if "new old" in accepted.values():
        signed("new", NOW, NOW)

    assert next_phase(SECRET, running(**accepted), NOW) == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (
            timedelta(days=1) - timedelta(minutes=1),
            NextPhase(False, "Keep the earlier value until 2026-03-01 12:01 UTC: so long its signatures are valid."),
        ),
        (
            timedelta(days=1),
            NextPhase(True, "Phase 3 may begin: nothing needs the earlier value. Take it out of KEY_FALLBACKS."),
        ),
    ],
)
def test_the_earlier_value_is_kept_while_it_is_valid(since: timedelta, expected: NextPhase) -> None:
    signed("old", NOW - timedelta(days=90), NOW - since)
    signed("new", NOW - since, NOW)

    assert next_phase(SECRET, running(product="new old", worker="new old"), NOW) == expected


def test_the_earlier_value_is_kept_while_rows_need_it() -> None:
    signed("old", NOW - timedelta(days=90), NOW - timedelta(days=9))
    secret = RotatingSecret("KEY", list, count_unmoved=lambda: 1200, unmoved="people would need a new password")

    phase = next_phase(secret, running(product="new old"), NOW)

    assert phase == NextPhase(False, "Keep the earlier value: 1,200 people would need a new password.")


def test_a_process_reports_what_it_accepts_without_telling_it(settings) -> None:
    settings.SESSION_SECRET, settings.SESSION_SECRET_FALLBACKS = "the one that signs", ["another"]

    report_secrets("product")

    (process,) = running_processes()
    assert process.role == "product"
    assert process.accepted["SAAS_SESSION_SECRET"] == rotating_secrets()["SAAS_SESSION_SECRET"].fingerprints()
    assert len(set(process.accepted["SAAS_SESSION_SECRET"])) == 2
    assert "signs" not in str(process.accepted)
    assert settings.SECRET_KEY not in str(process.accepted)
    signing = SignedSecret.objects.get(secret="SAAS_SESSION_SECRET").fingerprint
    assert signing == process.accepted["SAAS_SESSION_SECRET"][0]


def test_reports_of_processes_that_ended_long_ago_are_deleted() -> None:
    for minutes in (9, 11):
        seen_at = timezone.now() - timedelta(minutes=minutes)
        ProcessSecrets.objects.create(name=f"gone:{minutes}", role="product", accepted={}, seen_at=seen_at)

    report_secrets("product")

    assert set(ProcessSecrets.objects.values_list("name", flat=True)) == {"gone:9", process_name()}


def test_one_value_of_two_secrets_has_two_fingerprints() -> None:
    first, second = (RotatingSecret(name, lambda: ["one value"]).fingerprints() for name in ("FIRST", "SECOND"))

    assert first != second


@pytest.mark.parametrize("name", ["SECRET_KEY", "INTERNALS_TOKEN", "STRIPE_WEBHOOK_SECRET"])
def test_a_secrets_earlier_values_are_reported_too(settings, name: str) -> None:
    settings.SECRET_KEY_FALLBACKS, settings.INTERNALS_TOKEN_FALLBACKS = ["earlier"], ["earlier"]
    settings.INTERNALS_TOKEN, settings.STRIPE_WEBHOOK_SECRETS = "present", ["present", "earlier"]

    assert len(rotating_secrets()[name].fingerprints()) == 2


@pytest.mark.parametrize("name", ["SECRET_KEY", "STRIPE_WEBHOOK_SECRET"])
def test_an_earlier_value_is_needed_for_a_day_after_it_signed_last(name: str) -> None:
    assert rotating_secrets()[name].needed_for == timedelta(days=1)


def test_a_process_that_reports_no_longer_does_not_count() -> None:
    ProcessSecrets.objects.create(name="gone:1", role="product", accepted={}, seen_at=NOW)

    assert [process.name for process in running_processes(NOW + timedelta(seconds=60))] == ["gone:1"]
    assert running_processes(NOW + timedelta(seconds=61)) == []


def test_every_secret_that_is_made_here_can_be_rotated() -> None:
    assert set(rotating_secrets()) >= {
        *("SECRET_KEY", "SAAS_AUTH_PEPPER", "SAAS_SESSION_SECRET", "SAAS_MFA_KEY", "SAAS_AUDIT_KEY", "INTERNALS_TOKEN"),
        *("JWT_SIGNING_KEY", "JWT_STAFF_SIGNING_KEY", "STRIPE_WEBHOOK_SECRET"),
    }


def test_the_command_shows_each_process_and_what_may_begin() -> None:
    report_secrets("product")
    out = StringIO()

    call_command("rotate", "SAAS_SESSION_SECRET", stdout=out)

    (fingerprint,) = rotating_secrets()["SAAS_SESSION_SECRET"].fingerprints()
    title, process, phase = out.getvalue().splitlines()
    assert title == "SAAS_SESSION_SECRET"
    assert (process.split()[0], process.split()[2]) == ("product", fingerprint)
    assert phase.strip().startswith("Phase 1 may begin: add a new value to SAAS_SESSION_SECRET_FALLBACKS")


def test_the_command_exits_with_1_while_something_has_to_be_waited_for() -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("rotate", "SECRET_KEY", stdout=StringIO())

    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["NOTHING"], "NOTHING is none of INTERNALS_TOKEN,"),
        (["SECRET_KEY", "--move"], "--move needs the name of a secret"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("rotate", *arguments, stdout=StringIO())

    assert str(refused.value).startswith(sentence)
