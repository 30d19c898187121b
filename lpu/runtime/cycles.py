"""Predicted cycles: a number, or a formula over named values such as ``position``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.RShift: operator.rshift,
}


class FormulaError(ValueError):
    """A formula that is none; one line with the formula and what is wrong."""


def evaluate(formula: int | str, **names: int) -> int:
    """Value of a formula: integers, names, ``+ - * // >>``, parentheses. Raises FormulaError; never runs code."""
    if isinstance(formula, int):
        return formula
    try:
        tree = ast.parse(formula.strip(), mode="eval")
        return _value(tree.body, names)
    except SyntaxError:
        raise FormulaError(f"formula {formula!r} is not an expression") from None
    except (ArithmeticError, ValueError, RecursionError) as error:
        raise FormulaError(f"formula {formula!r}: {error}") from None


def _value(node: ast.expr, names: dict[str, int]) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            if name not in names:
                raise ValueError(f"no value {name}, only {', '.join(names) or 'numbers'}")
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, names), _value(right, names))
    raise ValueError(f"{ast.unparse(node)} is neither integer, name nor one of + - * // >>")
