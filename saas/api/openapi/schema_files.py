"""The published OpenAPI documents in ``saas/docs/openapi``, and the list of breaking changes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

from saas.api.openapi.breaking_changes import find_breaking_changes

FOLDER = Path(settings.BASE_DIR) / "saas" / "docs" / "openapi"
# Every breaking change, one a line, as `schema --write` found it; the changelog must quote each of them.
BREAKING_CHANGES_FILE = FOLDER / "broken.txt"

_GENERATE = """
import django, sys
django.setup()
from django.test import Client
sys.stdout.write(Client().get("/openapi.json", headers={"host": "localhost"}).content.decode())
"""


def document_path(service: str) -> Path:
    return FOLDER / f"{service}.json"


def read_document(service: str) -> dict[str, Any]:
    """The document that was last written; before the first, an empty one."""
    if not document_path(service).exists():
        return {"paths": {}}
    document: dict[str, Any] = json.loads(document_path(service).read_text(encoding="utf-8"))
    return document


def generate_document(service: str) -> dict[str, Any]:
    """Generate the document of ``service`` in a process of its own, because a process serves one service only. It sees none
    of this machine's settings."""
    with tempfile.TemporaryDirectory() as var_dir:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "SAAS_ENV": "test",
            "SAAS_VAR_DIR": var_dir,
            "DJANGO_SETTINGS_MODULE": f"saas.settings.{service}",
        }
        done = subprocess.run(  # noqa: S603 (our own interpreter and our own words)
            [sys.executable, "-c", _GENERATE],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{service} makes no schema: {done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def write_document(service: str, document: dict[str, Any]) -> list[str]:
    """Write ``document``; append its breaking changes to the list and return them."""
    sentences = [f"{service} {sentence}" for sentence in find_breaking_changes(read_document(service), document)]
    save_document(service, document)
    if sentences:
        with BREAKING_CHANGES_FILE.open("a", encoding="utf-8") as notes:
            notes.writelines(f"{sentence}\n" for sentence in sentences)
    return sentences


def save_document(service: str, document: dict[str, Any]) -> None:
    """Write ``document``, whatever it breaks."""
    FOLDER.mkdir(exist_ok=True)
    document_path(service).write_text(_written(document), encoding="utf-8")


def is_written(service: str, document: dict[str, Any]) -> bool:
    """Whether the file is exactly the document: in another order, readers of the reference see another document."""
    path = document_path(service)
    return path.exists() and path.read_text(encoding="utf-8") == _written(document)


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def undocumented_changes(changelog: str) -> list[str]:
    """The breaking changes that ``changelog`` does not quote."""
    sentences = BREAKING_CHANGES_FILE.read_text(encoding="utf-8").splitlines() if BREAKING_CHANGES_FILE.exists() else []
    return [sentence for sentence in sentences if sentence not in changelog]
