"""What is taken away, one thing at a time, to see whether a test notices: each tenant filter and each permission of a module.

All of it is found in the source by its form, so that what is added to a module later is tested as well.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("saas", "product")
NOT_CODE = {"tests", "migrations"}
TENANT_METHODS = {"visible_to", "of_team", "of_user", "for_user", "for_owner", "owned_by"}
TENANT_FIELDS = {"team", "team_id", "team__in", "owner", "owner_id", "user", "user_id", "memberships__user"}
VIEW_BASES = {"CustomerView", "TeamView"}


@dataclass(frozen=True)
class Sabotage:
    """Replace the ``start``th to ``end``th character of the file at ``path`` (relative to the root) by ``text``."""

    path: str
    line: int
    removed: str
    start: int
    end: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.removed}"

    def apply_to(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]


def find_sabotages(root: Path, module: str) -> list[Sabotage]:
    """Everything that can be taken away from a module, in the order of its files."""
    found: list[Sabotage] = []
    for package in PACKAGES:
        for path in sorted((root / package / module).rglob("*.py")):
            if not NOT_CODE & set(path.relative_to(root).parts):
                found += _in_file(str(path.relative_to(root)), path.read_text(encoding="utf-8"))
    return found


def _in_file(path: str, source: str) -> list[Sabotage]:
    text = _Source(path, source)
    found = [one for node in ast.walk(text.tree) for find in _FINDERS for one in find(text, node)]
    return sorted(found, key=lambda one: one.start)


class _Source:
    def __init__(self, path: str, source: str) -> None:
        self.path, self.source, self.tree = path, source, ast.parse(source)
        self._line_starts = [0]
        for line in source.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self.inner_calls = {id(call) for chain in ast.walk(self.tree) for call in _chain_below(chain)}

    def position(self, line: int, byte: int) -> int:
        """The index of a character; ``ast`` counts bytes in a line."""
        start = self._line_starts[line - 1]
        text = self.source[start : self._line_starts[line]]
        return start + len(text.encode()[:byte].decode())

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.position(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        return self.position(node.end_lineno or 0, node.end_col_offset or 0)

    def replacing(self, node: ast.expr | ast.stmt, text: str, removed: str) -> Sabotage:
        return Sabotage(self.path, node.lineno, removed, self.start(node), self.end(node), text)

    def of(self, node: ast.AST) -> str:
        return " ".join((ast.get_source_segment(self.source, node) or "").split())


def _chain_below(node: ast.AST) -> Iterator[ast.Call]:
    """The calls on whose results ``node`` is called: of ``a.b().c()`` the call of ``b``."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
        if isinstance(node, ast.Call):
            yield node


def _tenant_filters(text: _Source, node: ast.AST) -> Iterator[Sabotage]:
    """Every filter by tenant of one query at once: two of them guard the same."""
    if not isinstance(node, ast.Call) or id(node) in text.inner_calls:
        return
    chain = [node, *_chain_below(node)]
    filters = [call for call in chain if _is_tenant_filter(call)]
    if filters:
        kept = text.source[text.start(node) : text.end(node)]
        for call in filters:
            kept = kept.replace(text.source[text.end(_receiver(call)) : text.end(call)], _without_tenant(text, call), 1)
        yield text.replacing(node, kept, f"without the tenant filter of `{text.of(node)}`")


def _is_tenant_filter(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    names = {keyword.arg for keyword in call.keywords}
    on_rows = call.func.attr in TENANT_METHODS and not isinstance(call.func.value, ast.Name)
    return on_rows or (call.func.attr == "filter" and bool(names & TENANT_FIELDS))


def _receiver(call: ast.Call) -> ast.expr:
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def _without_tenant(text: _Source, call: ast.Call) -> str:
    """``.filter(team=team, pk=id)`` as ``.filter(pk=id)``, and a filter by the tenant alone as ``.all()``."""
    assert isinstance(call.func, ast.Attribute)
    kept = [text.of(keyword) for keyword in call.keywords if keyword.arg not in TENANT_FIELDS]
    return f".filter({', '.join(kept)})" if call.func.attr == "filter" and kept else ".all()"


def _required_permissions(text: _Source, node: ast.AST) -> Iterator[Sabotage]:
    """``actor.require(…)`` is not called; what ``lock_team_for`` asks for is what everybody in the team may."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) == "require":
        yield text.replacing(node, "pass", f"without `{text.of(node)}`")
    if isinstance(node, ast.Call) and _called(node) == "lock_team_for" and len(node.args) == 2:
        everybodys = "__import__('saas.teams.roles').teams.roles.Permission.VIEW_TEAM"  # whatever the file imports
        yield text.replacing(node.args[1], everybodys, f"without `{text.of(node.args[1])}` in `{text.of(node)}`")


def _declared_permissions(text: _Source, node: ast.AST) -> Iterator[Sabotage]:
    """Grant the permission to every role and scope."""
    if isinstance(node, ast.Call) and _called(node) == "declare_permission":
        for keyword in node.keywords:
            everything = {"lowest_role": "Role.VIEWER", "scopes": "list(Scope)"}.get(keyword.arg or "")
            now = text.of(keyword.value)
            if everything and now not in (everything, "[Scope.READ, Scope.WRITE]"):
                said = f"`{keyword.arg}={everything}` in place of `{text.of(keyword)}` for `{text.of(node.args[0])}`"
                yield text.replacing(keyword.value, everything, said)


def _logins(text: _Source, node: ast.AST) -> Iterator[Sabotage]:
    """Remove the login from a view."""
    if isinstance(node, ast.ClassDef) and VIEW_BASES & {text.of(base) for base in node.bases}:
        first = node.body[0]
        indent = " " * first.col_offset
        start = text.position(min([first.lineno, *_decorator_lines(first)]), 0)
        yield Sabotage(
            text.path,
            node.lineno,
            f"without login at `{node.name}`",
            start,
            start,
            f"{indent}permission_classes = ()\n\n",
        )


def _decorator_lines(node: ast.stmt) -> list[int]:
    return [one.lineno for one in getattr(node, "decorator_list", [])]


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


_FINDERS: tuple[Callable[[_Source, ast.AST], Iterator[Sabotage]], ...] = (
    _tenant_filters,
    _required_permissions,
    _declared_permissions,
    _logins,
)
