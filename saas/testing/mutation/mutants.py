"""The mutants of a module: its source with one thing changed."""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import mutate_code

from saas.testing.mutation.operators import operators


@dataclass(frozen=True)
class Mutant:
    """The module at ``path`` (relative to the root) with ``before`` replaced by ``after`` at ``line``."""

    path: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}\n    - {self.before}\n    + {self.after}"


def find_mutants(root: Path, path: str) -> list[Mutant]:
    """All mutants that Python can parse, by line; those that mean the same are one."""
    source = (root / path).read_text(encoding="utf-8")
    found = {_meaning(source): None} | {_meaning(mutated): mutated for mutated in _mutated(source)}
    mutants = [_mutant(path, source, mutated) for mutated in found.values() if mutated is not None]
    return sorted(mutants, key=lambda mutant: mutant.line)


def _mutated(source: str) -> Iterator[str]:
    nodes = list(_walk(get_ast(source)))
    for operator in operators():
        for occurrence in range(sum(len(list(operator.mutation_positions(node))) for node in nodes)):
            mutated = mutate_code(source, operator, occurrence)
            if mutated is not None and _is_code(mutated):
                yield mutated


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "children", ()):
        yield from _walk(child)


def _is_code(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


_OPPOSITE = {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


class _WithoutDoubleNegation(ast.NodeTransformer):
    """``not not a`` is ``a``, ``not a is b`` is ``a is not b``."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=ast.UnaryOp(op=ast.Not(), operand=inner)):
                return inner
            case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(ops=[one]) as compared) if type(one) in _OPPOSITE:
                return ast.Compare(compared.left, [_OPPOSITE[type(one)]()], compared.comparators)
        return node


def _meaning(source: str) -> str:
    return ast.dump(_WithoutDoubleNegation().visit(ast.parse(source)))


def _mutant(path: str, source: str, mutated: str) -> Mutant:
    old, new = source.splitlines(), mutated.splitlines()
    changes = [
        code for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"
    ]
    first, last = changes[0], changes[-1]
    before = " ".join(line.strip() for line in old[first[1] : last[2]])
    after = " ".join(line.strip() for line in new[first[3] : last[4]])
    return Mutant(path, first[1] + 1, before, after, mutated)
