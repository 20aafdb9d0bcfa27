"""The two scripts of the starter's brief, as they stand there but for the ports, against everything that ``up`` runs.

The brief is outside the repository; where it is missing, these tests are skipped.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from saas.testing.servers.stack import Stack, eventually

BRIEF = settings.BASE_DIR.parent / "shared" / "brief" / "saas-starter-workspace.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BRIEF.exists(), reason="the starter's brief is missing"),
    pytest.mark.skipif(sys.platform != "linux", reason="the stack looks for processes in /proc"),
]


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    return shared_stack


def script(heading: str, stack: Stack) -> str:
    """The first code block under ``heading``, with the stack's ports in place of 8000 to 8003."""
    text = BRIEF.read_text(encoding="utf-8").partition(f"### {heading}\n")[2]
    found = re.search(r"```\w+\n(.*?)```", text, re.DOTALL)
    assert found
    return re.sub(r"127\.0\.0\.1:800([0-3])", lambda m: f"127.0.0.1:{stack.port_base + int(m[1])}", found[1])


def run(command: list[str], tmp_path: Path) -> str:
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_user_flow_runs_as_written(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "test_saas_flow.py").write_text(script("Test Complete User Flow", stack))

    output = run([sys.executable, "test_saas_flow.py"], tmp_path)

    user, plans, team = output.splitlines()
    assert "'email': 'user@example.com'" in user
    assert [name in plans for name in ("starter", "growth", "scale")] == [True] * 3
    assert "'name': 'Engineering'" in team


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_webhook_calls_run_as_written(stack: Stack, tmp_path: Path) -> None:
    _provide_jq(tmp_path)
    shell = f'export PATH="{tmp_path}:$PATH"\n' + script("Test Webhook Processing", stack)

    output = run(["bash", "-c", shell], tmp_path)

    assert '"status":"accepted"' in output.replace(" ", "")
    assert '"status":"replay_accepted"' in output.replace(" ", "")
    eventually(lambda: _logged(stack)["status"] == "processed")
    assert _logged(stack)["replay_count"] == 1


def _logged(stack: Stack) -> dict[str, object]:
    items = stack.get("webhooks", "/api/webhooks/logs").json()["items"]
    return next(item for item in items if item["event_id"] == "evt_test_123")


def _provide_jq(folder: Path) -> None:
    """The brief pipes through jq, which not every machine has."""
    if not shutil.which("jq"):
        shim = folder / "jq"
        shim.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(json.load(sys.stdin), indent=2))\n")
        os.chmod(shim, 0o755)
