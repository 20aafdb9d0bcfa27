"""The generated files, from the templates in ``saas/management/module_template``: ``shared``, and ``team`` or ``user``.

A template is the file that it becomes, with ``${placeholders}`` (``ModuleNames.placeholders``); ``module_name`` in its path
is the module's name. Its lines stay within the length limit for every name that is allowed, so that formatters change nothing.
"""

import ast
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from string import Template

from saas.management.modules.names import ModuleNames

FOLDER = Path(__file__).parent.parent / "module_template"
SUFFIX = "-tpl"
_EXAMPLE = ModuleNames("example_of_plurals", "example_of_singular")


def render_files(names: ModuleNames, owned_by: str) -> dict[str, str]:
    """The text of each generated file, by its path in the repository."""
    placeholders = names.placeholders(owned_by)
    return {
        path: _with_sorted_imports(Template(text).substitute(placeholders))
        for path, text in sorted(_templates(names.plural, owned_by))
    }


def words_in_use(owned_by: str) -> set[str]:
    """The identifiers that the templates use for something else than the module's own names."""
    sources = (text for path, text in render_files(_EXAMPLE, owned_by).items() if path.endswith(".py"))
    return {word for source in sources for word in _identifiers(ast.parse(source))}


def _templates(module: str, owned_by: str) -> Iterator[tuple[str, str]]:
    for folder in (FOLDER / "shared", FOLDER / owned_by):
        for file in folder.rglob(f"*{SUFFIX}"):
            path = str(file.relative_to(folder)).removesuffix(SUFFIX).replace("module_name", module)
            yield path, file.read_text(encoding="utf-8")


def _with_sorted_imports(source: str) -> str:
    """Each run of ``from … import`` lines by module: where the module's own stand depends on its name."""
    runs = groupby(source.splitlines(keepends=True), key=lambda line: line.startswith("from "))
    return "".join(
        line for is_import, lines in runs for line in (sorted(lines, key=_imported_module) if is_import else lines)
    )


def _imported_module(line: str) -> str:
    return line.split()[1]


def _identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
