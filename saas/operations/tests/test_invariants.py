"""What must always be true is asked of every app that knows such a thing."""

from saas.operations.invariants import MAX_REPORTED, Violation, find_violations, registered_invariants


def test_every_apps_invariants_are_found_and_say_what_they_are_about() -> None:
    found = registered_invariants()

    assert {"billing.the_ledger_adds_up", "billing.one_open_checkout", "teams.members_have_seats"} <= set(found)
    assert all((check.__doc__ or "").splitlines()[0].endswith(".") for check in found.values())


def test_an_empty_database_breaks_none(db: None) -> None:
    assert list(find_violations()) == []


def test_one_mistake_that_breaks_every_row_is_told_a_few_times(db: None, monkeypatch) -> None:
    def everything_is_wrong():
        """Nothing is wrong."""
        return (f"row_{number}" for number in range(1000))

    monkeypatch.setattr("saas.operations.invariants._invariants", {"demo.everything_is_wrong": everything_is_wrong})
    told = list(find_violations())

    assert len(told) == MAX_REPORTED
    assert told[0] == Violation("demo.everything_is_wrong", "Nothing is wrong.", "row_0")
    assert str(told[0]) == "demo.everything_is_wrong: row_0 (Nothing is wrong.)"
