"""What ``guards --sabotage`` takes away, found in the source by its form."""

from pathlib import Path

import pytest

from saas.management.guards.sabotages import find_sabotages

CASES = {
    "a filter by tenant": (
        "rows = Thing.objects.of_team(team).live().first()\n",
        "rows = Thing.objects.all().live().first()\n",
    ),
    "two filters of one query": (
        "rows = Key.objects.visible_to(user).current().filter(team=team)\n",
        "rows = Key.objects.all().current().all()\n",
    ),
    "only the tenant of a filter": (
        "row = rows.filter(team=team, pk=id).first()\n",
        "row = rows.filter(pk=id).first()\n",
    ),
    "a permission that a view asks for": (
        'def get():\n    say("é")\n    actor.require(Permission.VIEW)\n',
        'def get():\n    say("é")\n    pass\n',
    ),
    "a permission asked for under the lock": (
        "actor = lock_team_for(actor, Permission.EDIT)\n",
        "actor = lock_team_for(actor, __import__('saas.teams.roles').teams.roles.Permission.VIEW_TEAM)\n",
    ),
    "the role of a permission": (
        "declare_permission(P.EDIT, lowest_role=Role.ADMIN, scopes=[Scope.READ, Scope.WRITE])\n",
        "declare_permission(P.EDIT, lowest_role=Role.VIEWER, scopes=[Scope.READ, Scope.WRITE])\n",
    ),
    "the scope of a permission": (
        "declare_permission(P.EDIT, lowest_role=Role.VIEWER, scopes=[Scope.WRITE])\n",
        "declare_permission(P.EDIT, lowest_role=Role.VIEWER, scopes=list(Scope))\n",
    ),
    "a login": (
        "class Things(TeamView):\n    @documented\n    def get(): ...\n",
        "class Things(TeamView):\n    permission_classes = ()\n\n    @documented\n    def get(): ...\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_guard_is_found_once_and_taken_away(case: str, tmp_path: Path) -> None:
    source, sabotaged = CASES[case]
    (tmp_path / "saas/things").mkdir(parents=True)
    (tmp_path / "saas/things/code.py").write_text(source)

    (found,) = find_sabotages(tmp_path, "things")

    assert found.apply_to(source) == sabotaged
    assert found.path == "saas/things/code.py"


@pytest.mark.parametrize(
    "source",
    [
        "rows = Thing.objects.filter(pk=id)\n",
        "requests.get(url)\n",
        "class Things(PublicView):\n    x = 1\n",
        "require(x)\n",
    ],
)
def test_what_guards_nothing_is_left_alone(source: str, tmp_path: Path) -> None:
    (tmp_path / "product/things/tests").mkdir(parents=True)
    (tmp_path / "product/things/code.py").write_text(source.replace("require(x)\n", ""))
    (tmp_path / "product/things/tests/test_code.py").write_text("actor.require(Permission.VIEW)\n")

    assert find_sabotages(tmp_path, "things") == []


def test_the_guards_of_an_existing_module_are_found() -> None:
    root = Path(__file__).resolve().parents[3]

    found = [str(one) for one in find_sabotages(root, "teams")]

    assert any("without `actor.require(Permission.VIEW_API_KEYS)`" in one for one in found)
    assert any(
        "without `Permission.CHANGE_TEAM` in `lock_team_for(actor, Permission.CHANGE_TEAM)`" in one for one in found
    )
    assert any("without login at `ApiKeysView`" in one for one in found)
