"""``.env.example`` lists what the settings read."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_lists_every_setting_with_its_help_and_default(tmp_path: Path) -> None:
    nothing_set = {"PATH": os.environ["PATH"], "SAAS_ENV": "test", "SAAS_VAR_DIR": str(tmp_path)}

    written = subprocess.run(
        [sys.executable, "manage.py", "env_example"],
        cwd=ROOT,
        env=nothing_set,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (ROOT / ".env.example").read_text() == written.stdout, "run: python3 manage.py env_example > .env.example"
