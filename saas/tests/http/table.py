"""Read and write the table of ``saas/docs/http.md``: the answers, direct and behind the proxy.

``SAAS_HTTP_TABLE=write python3 manage.py test saas/tests/http/test_raw_http.py -m "faults or not faults"`` writes it.
"""

import os
import re
from collections import defaultdict

from django.conf import settings

PATH = settings.BASE_DIR / "saas" / "docs" / "http.md"
IS_WRITTEN = os.environ.get("SAAS_HTTP_TABLE") == "write"
WAYS = ("direct", "proxied")
_ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_HEADING = "| sent | direct | behind the proxy |\n|---|---|---|\n"

Table = dict[str, dict[str, set[str]]]  # by the case's name and the way


def read() -> Table:
    rows = PATH.read_text(encoding="utf-8").partition(_HEADING)[2]
    return {
        _name(row[0]): {way: set(cell.split(" or ")) for way, cell in zip(WAYS, row[1:], strict=True)}
        for row in _ROW.findall(rows)
    }


def write(seen: Table) -> None:
    text, heading, _ = PATH.read_text(encoding="utf-8").partition(_HEADING)
    rows = (
        f"| {_cell(name)} | " + " | ".join(" or ".join(sorted(ways[way])) for way in WAYS) + " |\n"
        for name, ways in seen.items()
    )
    PATH.write_text(text + heading + "".join(rows), encoding="utf-8")


def empty() -> Table:
    return defaultdict(lambda: defaultdict(set))


def _cell(name: str) -> str:
    return f"`{name}`" if ":" in name else name


def _name(cell: str) -> str:
    return cell.strip("`")
