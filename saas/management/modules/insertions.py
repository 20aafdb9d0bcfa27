"""The lines that a module has in files that all modules share: each is inserted below a line that stays where it is."""

from dataclasses import asdict, dataclass
from pathlib import Path

from saas.management.modules.names import ModuleNames, ModuleRefused


@dataclass(frozen=True)
class Insertion:
    """``text`` below the only place of ``anchor`` in the file at ``path``; at the end of the file without an anchor."""

    path: str
    anchor: str
    text: str

    def apply_to(self, content: str) -> str:
        """Raises ``ModuleRefused`` if the place is not there."""
        if not self.anchor:
            return content + self.text
        if content.count(self.anchor) != 1:
            line = self.anchor.rstrip("\n").rpartition("\n")[2]
            raise ModuleRefused(
                f"{self.path} has no single line `{line.strip()}` below which the module's lines belong."
            )
        return content.replace(self.anchor, self.anchor + self.text)

    def take_out_of(self, content: str) -> str:
        """Its first place below the anchor. Raises ``ModuleRefused`` if the text is not there any more."""
        start = content.find(self.anchor) + len(self.anchor) if self.anchor else 0
        found = content.find(self.text, start) if self.anchor in content else -1
        if found < 0:
            raise ModuleRefused(f"{self.path} does not have the lines any more that add_module wrote there.")
        return content[:found] + content[found + len(self.text) :]


def insertions(names: ModuleNames, owned_by: str) -> list[Insertion]:
    shared = [
        Insertion("saas/settings/base.py", "MODULES: list[str] = [\n", f'    "{names.plural}",\n'),
        Insertion(".importlinter", "    saas.server\n    saas.api\n", f"    saas.{names.plural}\n"),
        Insertion(
            ".importlinter",
            "name = The domain knows no HTTP\ntype = forbidden\nsource_modules =\n",
            f"    saas.{names.plural}\n",
        ),
        _limit(names, owned_by),
        _map_line(names, owned_by),
        _errors(names),
        _changelog(names, owned_by),
    ]
    return [*shared, _permissions(names)] if owned_by == "team" else shared


def _limit(names: ModuleNames, owned_by: str) -> Insertion:
    words = names.placeholders(owned_by)["Plural_words"]
    label, personal = (f"{words} of a team", "") if owned_by == "team" else (words, ", is_personal=True")
    return Insertion(
        "saas/billing/catalogue/limits_and_features.py",
        '    Limit("api_keys", _("API keys of a team"), default=1),\n',
        f'    Limit("{names.plural}", "{label}", default=3{personal}),\n',
    )


def _map_line(names: ModuleNames, owned_by: str) -> Insertion:
    words = names.plural.replace("_", " ")
    return Insertion(
        "README.md",
        "  teams/            teams, roles, invitations, API keys\n",
        f"{f'  {names.plural}/':<19} {words} of a {owned_by}\n",
    )


def _errors(names: ModuleNames) -> Insertion:
    one, words = names.singular.replace("_", " "), names.plural.replace("_", " ").capitalize()
    return Insertion(
        "saas/docs/errors.md",
        "",
        f"\n## {words}\n\n| code | status | meaning |\n|---|---|---|\n"
        f"| `{names.singular}_limit` | 409 | The plan allows no further {one}; archive one first. |\n",
    )


def _changelog(names: ModuleNames, owned_by: str) -> Insertion:
    path = f"/api/teams/{{team_id}}/{names.slug}" if owned_by == "team" else f"/api/{names.slug}"
    words = names.plural.replace("_", " ").capitalize()
    return Insertion(
        "saas/docs/changelog.md",
        "## Not released yet\n\n",
        f"- {words} of a {owned_by}: `{path}` and `{path}/{{{names.singular}_id}}`, the plan limit `{names.plural}`, "
        f"the refusal\n  `{names.singular}_limit`.\n",
    )


def _permissions(names: ModuleNames) -> Insertion:
    return Insertion(
        "saas/docs/teams.md",
        "| billing.manage | yes | | | | | |\n",
        f"| {names.plural}.view | yes | yes | yes | yes | yes | yes |\n"
        f"| {names.plural}.edit | yes | yes | yes | | | yes |\n"
        f"| {names.plural}.archive | yes | yes | | | | yes |\n",
    )


def inserted(root: Path, new: list[Insertion]) -> dict[str, str]:
    """The new text of each file that ``new`` touches. Raises ``ModuleRefused``."""
    texts: dict[str, str] = {}
    for one in new:
        content = texts.get(one.path) or (root / one.path).read_text(encoding="utf-8")
        texts[one.path] = one.apply_to(content)
    return texts


def as_json(new: list[Insertion]) -> list[dict[str, str]]:
    return [asdict(one) for one in new]
