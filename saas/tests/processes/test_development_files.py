"""What a development system writes is its owner's alone: the database holds people, and the secrets sign for them. (T96)"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


def migrate(var_dir: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "SAAS_ENV": "test", "SAAS_VAR_DIR": str(var_dir)}
    command = [sys.executable, "manage.py", "migrate", "-v0", "operations"]
    subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("is_old", [False, True])
def test_the_development_database_is_its_owners_alone(tmp_path: Path, is_old: bool) -> None:
    var_dir = tmp_path / "var"
    if is_old:
        var_dir.mkdir()
        (var_dir / "db.sqlite3").touch(mode=0o644)

    migrate(var_dir)

    rights = {path.name: path.stat().st_mode & 0o077 for path in var_dir.iterdir() if path.name.startswith("db.")}
    assert rights.pop("db.sqlite3") == 0
    assert set(rights.values()) <= {0}
    assert is_old or var_dir.stat().st_mode & 0o077 == 0
