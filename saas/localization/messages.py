"""Find what is to be translated: marked texts of Python and templates, and the sentences of refusals.

A refusal is written in English where it is raised, because the API answers in English. Pages translate it when they show it,
so its class needs no mark: a ``title`` beside a ``code``, the sentence of an occurrence, and those of ``errors``.
"""

import ast
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages.extract import extract
from django.conf import settings
from django.utils.translation import templatize

_NOT_SHOWN = {"tests", "testing", "migrations", "conformance"}
_KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
}


class Message(NamedTuple):
    """``id`` is the English text, or its singular and plural."""

    id: str | tuple[str, str]
    context: str | None = None


def find_messages(root: Path) -> set[Message]:
    """All messages of the Python files and templates below ``root``."""
    found: set[Message] = set()
    for path in _files(root, "*.py"):
        found |= _marked(path.read_text(encoding="utf-8"))
        found |= {Message(sentence) for sentence in _sentences_of_refusals(path)}
    for path in template_files(root):
        found |= _marked(templatize(path.read_text(encoding="utf-8")))
    return found


def template_files(root: Path) -> list[Path]:
    """Templates of pages and mails below ``root``."""
    return [path for path in _files(root, "*") if "templates" in path.parts and path.suffix in {".html", ".txt"}]


def _files(root: Path, pattern: str) -> list[Path]:
    files = sorted(path for path in root.rglob(pattern) if path.is_file())
    return [path for path in files if not _NOT_SHOWN & set(path.relative_to(root).parts)]


def _marked(source: str) -> set[Message]:
    rows = extract("python", BytesIO(source.encode()), keywords=_KEYWORDS, options={"encoding": "utf-8"})
    return {Message(_id(message), context) for _line, message, _comments, context in rows}


def _id(message: str | tuple[str, ...]) -> str | tuple[str, str]:
    return message if isinstance(message, str) else (message[0], message[1])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _sentences_of_refusals(path: Path) -> Iterator[str]:
    constants = _constants(_tree(path))
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef):
            yield from _title(node)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from _raised_sentences(node.exc, constants)


def _title(definition: ast.ClassDef) -> Iterator[str]:
    values = _attributes(definition)
    title, is_refusal = values.get("title"), "code" in values or definition.name in _refusal_names()
    if is_refusal and isinstance(title, ast.Constant):
        yield str(title.value)


def _attributes(definition: ast.ClassDef) -> dict[str, ast.expr]:
    values: dict[str, ast.expr] = {}
    for line in definition.body:
        if (
            isinstance(line, ast.Assign)
            and isinstance(line.targets[0], ast.Tuple)
            and isinstance(line.value, ast.Tuple)
        ):
            values |= zip(map(ast.unparse, line.targets[0].elts), line.value.elts, strict=True)
        elif isinstance(line, ast.Assign):
            values[ast.unparse(line.targets[0])] = line.value
        elif isinstance(line, ast.AnnAssign) and line.value:
            values[ast.unparse(line.target)] = line.value
    return values


def _raised_sentences(call: ast.Call, constants: dict[str, object]) -> Iterator[str]:
    """A sentence starts with a capital and ends with a full stop: field names and codes do neither."""
    if ast.unparse(call.func).rpartition(".")[2] not in _refusal_names() | {"ValidationError"}:
        return
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "errors")]
    for node in (part for value in given for part in ast.walk(value)):
        text = _text(node, constants)
        if text[:1].isupper() and text.endswith("."):
            yield text


def _text(node: ast.AST, constants: dict[str, object]) -> str:
    """The text of a literal; of an f-string only if each of its values is a constant of the module."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
    values = [part.value if isinstance(part, ast.Constant) else constants.get(ast.unparse(part)) for part in parts]
    return "" if None in values else "".join(map(str, values))


def _constants(module: ast.Module) -> dict[str, object]:
    assigned = [line for line in module.body if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)]
    return {ast.unparse(line.targets[0]): line.value.value for line in assigned if isinstance(line.value, ast.Constant)}


@cache
def _refusal_names() -> frozenset[str]:
    """The names of all classes of refusals."""
    paths = (path for root in ("saas", "product") for path in _files(settings.BASE_DIR / root, "*.py"))
    classes = [node for path in paths for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)]
    named = {one.name for one in classes if {"code", "title"} <= _attributes(one).keys()}
    return frozenset(named | {one.name for one in classes if named & set(map(ast.unparse, one.bases))})
