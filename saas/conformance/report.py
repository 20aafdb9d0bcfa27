"""Report results as a table for people or as a JSON document."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saas.conformance.runner import Result


def json_report(url: str, convention: str, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "url": url,
        "convention": convention,
        "passed": sum(result.holds for result in results),
        "failed": sum(not result.holds for result in results),
        "rules": [
            {
                "id": result.rule.id,
                "says": result.rule.says,
                "holds": result.holds,
                "step": result.step or None,
                "faults": result.faults,
            }
            for result in results
        ],
    }


def print_table(console: Console, url: str, convention: str, results: Sequence[Result]) -> None:
    table = Table("", "rule", "what it says, and why it fails", title=f"{url} ({convention})", expand=False)
    for result in results:
        mark = Text("pass", "green") if result.holds else Text("FAIL", "bold red")
        sentences = Text(result.rule.says)
        for fault in result.faults:
            sentences.append(f"\nstep {result.step}: {fault}", "red")
        table.add_row(mark, Text(result.rule.id), sentences)
    console.print(table)
    failed = [result for result in results if not result.holds]
    verdict = f"{len(results) - len(failed)} of {len(results)} rules hold"
    console.print(Text(verdict, "bold red" if failed else "bold green"))
