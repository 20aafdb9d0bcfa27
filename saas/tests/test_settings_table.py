"""The README's table of settings is what the settings modules read, no more and no less."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(?P<name>\w+)` \|(?: `(?P<default>[^`]*)`)? \| (?P<help>.+) \|$", re.MULTILINE)


def rows(markdown: str) -> list[dict[str, str | None]]:
    """The rows of the table under the heading ``## Settings``."""
    section = re.split(r"^## ", markdown.partition("\n## Settings\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return [match.groupdict() for match in ROW.finditer(section)]


def test_the_readme_lists_every_setting_with_its_default_and_what_it_is(tmp_path: Path) -> None:
    nothing_set = {"PATH": os.environ["PATH"], "SAAS_ENV": "test", "SAAS_VAR_DIR": str(tmp_path)}

    printed = subprocess.run(
        [sys.executable, "manage.py", "settings_table"],
        cwd=ROOT,
        env=nothing_set,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    declared = rows(f"\n## Settings\n{printed}")
    assert len(declared) == printed.count("\n") - 2  # every line but the table's head is understood
    assert rows((ROOT / "README.md").read_text()) == declared, "run: python3 manage.py settings_table"
