"""The harness itself: short, and without a word about how fast anything is."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings


@pytest.mark.long
@pytest.mark.postgres
def test_bench_intake_reports_one_json_document_with_a_row_for_each_design():
    done = subprocess.run(
        [sys.executable, "manage.py", "bench", "intake", "--json", "--rounds", "1", "--seconds", "0.2"],
        cwd=settings.BASE_DIR,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["rounds"], report["engine"]) == (1, "PostgreSQL")
    measured = {(row["design"], row["connections"]) for row in report["rows"]}
    designs = {"bare WSGI insert", "bare ASGI group commit", "usual way", "plain door", "fast door"}
    assert measured == {(design, connections) for design in designs for connections in (16, 64)}
    assert {row["ratio"] for row in report["rows"] if row["design"] == "bare WSGI insert"} == {1.0}
    assert all(row["rps"] > 0 and row["p99_ms"] > 0 for row in report["rows"])
