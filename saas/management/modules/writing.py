"""Adding a module to the tree and taking it out, all of it or nothing."""

import ast
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saas.api.openapi import schema_files
from saas.management.modules.collisions import PACKAGES, require_no_collision
from saas.management.modules.insertions import Insertion, as_json, inserted, insertions
from saas.management.modules.names import ModuleNames, ModuleRefused
from saas.management.modules.templates import render_files

MANIFEST = "module.json"
DOCUMENTS = ("product", "admin_ops")  # the services that modules have something in
_TEMPORARY = {"__pycache__"}


@dataclass(frozen=True)
class Addition:
    """What ``add_module`` writes: ``files`` are new, ``changed`` the new texts of files that are there; by path."""

    names: ModuleNames
    files: dict[str, str]
    insertions: list[Insertion]
    changed: dict[str, str]


def plan_addition(root: Path, names: ModuleNames, owned_by: str) -> Addition:
    """Raises ``ModuleRefused``."""
    require_no_collision(root, names, owned_by)
    files, lines = render_files(names, owned_by), insertions(names, owned_by)
    manifest = {
        "owned_by": owned_by,
        "files": {path: _digest(text.encode()) for path, text in files.items()},
        "insertions": as_json(lines),
    }
    files[_manifest_path(names.plural)] = json.dumps(manifest, indent=2) + "\n"
    return Addition(names, files, lines, inserted(root, lines))


def add(root: Path, addition: Addition) -> None:
    with _undone_on_failure(root, addition.names.plural, [*addition.changed, *_document_paths(root)]):
        for path, text in (addition.files | addition.changed).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        _write_documents()


@dataclass(frozen=True)
class Removal:
    """What ``remove_module`` does: delete ``folders``, and write the new texts of the files ``changed``, by path."""

    module: str
    folders: list[Path]
    changed: dict[str, str]


def plan_removal(root: Path, module: str, *, force: bool = False) -> Removal:
    """Raises ``ModuleRefused`` if ``add_module`` did not write it, or if it was changed since; ``force`` disregards changes."""
    manifest = _read_manifest(root, module)
    faults = [*_changes(root, module, manifest["files"]), *_references(root, module)]
    texts: dict[str, str] = {}
    for one in (Insertion(**fields) for fields in manifest["insertions"]):
        content = texts.get(one.path) or (root / one.path).read_text(encoding="utf-8")
        try:
            texts[one.path] = one.take_out_of(content)
        except ModuleRefused as refusal:
            faults.append(str(refusal))
    if faults and not force:
        raise ModuleRefused(f"{faults[0]} Take it out by hand, or use --force, which loses that.")
    return Removal(module, [root / package / module for package in PACKAGES], texts)


def remove(root: Path, removal: Removal) -> None:
    with _undone_on_failure(root, removal.module, [*removal.changed, *_document_paths(root)]):
        for folder in removal.folders:
            shutil.rmtree(folder, ignore_errors=True)
        for path, text in removal.changed.items():
            (root / path).write_text(text, encoding="utf-8")
        _write_documents()


def _write_documents() -> None:
    for service in DOCUMENTS:
        schema_files.save_document(service, schema_files.generate_document(service))


def _document_paths(root: Path) -> list[str]:
    return [str(schema_files.document_path(service).relative_to(root)) for service in DOCUMENTS]


def _manifest_path(module: str) -> str:
    return f"saas/{module}/{MANIFEST}"


def _read_manifest(root: Path, module: str) -> dict[str, Any]:
    path = root / _manifest_path(module)
    if not module.isidentifier() or not path.is_file():
        raise ModuleRefused(f"There is no module {module[:60]!r} that add_module wrote.")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _changes(root: Path, module: str, written: dict[str, str]) -> Iterator[str]:
    here = {str(path.relative_to(root)): path for path in _files(root, module)}
    for path in sorted(here.keys() - written.keys() - {_manifest_path(module)}):
        yield f"{path} is not add_module's."
    for path, digest in written.items():
        if path not in here:
            yield f"{path} is gone."
        elif _digest(here[path].read_bytes()) != digest:
            yield f"{path} was changed since add_module wrote it."


def _references(root: Path, module: str) -> Iterator[str]:
    """Files elsewhere that import the module."""
    own = set(_files(root, module))
    for package in (*PACKAGES, "parity", "webhooks"):
        for path in sorted((root / package).rglob("*.py")):
            if path not in own and _mentions(path.read_text(encoding="utf-8"), module):
                yield f"{path.relative_to(root)} uses the module."


def _mentions(source: str, module: str) -> bool:
    """Whether it imports the module, or names something of it in a string as settings do."""
    names = tuple(f"{package}.{module}" for package in PACKAGES)
    return any(f"{word}.".startswith(f"{name}.") for word in _dotted_names(source) for name in names)


def _dotted_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=str(package), names=aliases):
                yield from (f"{package}.{alias.name}" for alias in aliases)
            case ast.Constant(value=str(text)):
                yield text


def _files(root: Path, module: str) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package / module).rglob("*")):
            if path.is_file() and not _TEMPORARY & set(path.parts):
                yield path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _undone_on_failure(root: Path, module: str, changed: list[str]) -> Iterator[None]:
    """Put the module's files and the ``changed`` ones back as they were if the block fails."""
    kept = {path: path.read_bytes() for path in [*_files(root, module), *(root / path for path in changed)]}
    try:
        yield
    except BaseException:
        for package in PACKAGES:
            shutil.rmtree(root / package / module, ignore_errors=True)
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        raise
