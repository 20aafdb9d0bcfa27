"""How a mutant differs from the code: cosmic-ray's operators that a reviewer could overlook, and those that drop a rule.

The rule that is dropped is a statement (a guard, a lock, a mail, a row), or one condition of a query.
"""

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator
from parso.python.tree import PythonNode

Position = tuple[tuple[int, int], tuple[int, int]]

_STANDARD = [
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ZeroIterationForLoop",
    *(
        f"ReplaceBinaryOperator_{pair}"
        for pair in ("Add_Sub", "Sub_Add", "Mul_Add", "Div_Mul", "FloorDiv_Mul", "Mod_Add")
    ),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("BitAnd_BitOr", "BitOr_BitAnd")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_GtE", "GtE_Lt")),
]
_QUERIES = {"filter", "exclude", "get", "update", "select_related", "aggregate", "order_by"}


class RemoveStatement(Operator):
    """Do not call, do not raise: ``require_fresh(session)`` as ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "simple_stmt" and _is_rule(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        nothing = parso.parse("pass").children[0]  # type: ignore[no-untyped-call]
        nothing.prefix = node.get_first_leaf().prefix
        node.children[0] = nothing
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("check(it)\n", "pass\n"), Example("raise Refused\n", "pass\n"))


class RemoveCondition(Operator):
    """One condition less: ``rows.filter(team=team, pk=pk)`` as ``rows.filter(pk=pk)``."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for argument in _conditions(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        kept = [one for position, one in enumerate(_arguments(node)) if position != _positions(node)[index]]
        code = f"f({', '.join(one.get_code().strip() for one in kept)})"
        call = parso.parse(code).children[0]  # type: ignore[no-untyped-call]
        node.children[:] = call.children[1].children
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("rows.filter(a=1, b=2)", "rows.filter(b=2)"),)


def operators() -> list[Operator]:
    return [*(get_operator(f"core/{name}")() for name in _STANDARD), RemoveStatement(), RemoveCondition()]


def _is_rule(statement: Any) -> bool:
    if statement.type == "raise_stmt":
        return True
    calls = statement.type in ("atom_expr", "power") and statement.children[-1].get_code().startswith("(")
    return calls and statement.children[0].get_code().strip() not in ("logger", "super")


def _arguments(trailer: Any) -> list[Any]:
    inside = trailer.children[1]
    several = isinstance(inside, PythonNode) and inside.type == "arglist"
    return [one for one in inside.children if one.get_code().strip() != ","] if several else [inside]


def _conditions(node: Any) -> list[Any]:
    """The arguments of a query's method by name; ``node`` is the call's brackets."""
    if node.type != "trailer" or node.children[0].value != "(" or len(node.children) != 3:
        return []
    before = node.get_previous_leaf()
    if before is None or before.value not in _QUERIES:
        return []
    return [one for one in _arguments(node) if one.type == "argument" and one.children[1].get_code().strip() == "="]


def _positions(node: Any) -> list[int]:
    conditions = {id(one) for one in _conditions(node)}
    return [position for position, one in enumerate(_arguments(node)) if id(one) in conditions]
