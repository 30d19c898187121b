"""Cycle formulas: what ``Program.cycles`` says of a run whose length depends on its start, such as ``"900 + 7 * position"``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from lpu.program import ProgramError

#: Formulas are a line; what is longer did not come from a compiler.
_LONGEST = 2000
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.RShift: operator.rshift,
}


def evaluate(formula: int | str, **names: int) -> int:
    """Value of a formula: integers, names, ``+ - * // >>`` and parentheses, as Python means them.

    Nothing but arithmetic is ever executed. Raises ProgramError in one line for anything else, for a name that is not
    among ``names``, and for division by zero or a negative shift.
    """
    if isinstance(formula, int) and not isinstance(formula, bool):
        return formula
    if not isinstance(formula, str) or len(formula) > _LONGEST:
        raise ProgramError(f"cycle formula {str(formula)[:60]!r} is not a number or a line of text")
    try:
        return _value(ast.parse(formula.strip(), mode="eval").body, names, formula)
    except (SyntaxError, RecursionError, MemoryError):
        raise ProgramError(f"cycle formula {formula!r} cannot be read") from None
    except (ArithmeticError, ValueError) as error:
        if isinstance(error, ProgramError):
            raise
        raise ProgramError(f"cycle formula {formula!r} has no value: {error}") from None


def _value(node: ast.expr, names: Mapping[str, int], formula: str) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            if name not in names:
                raise ProgramError(
                    f"cycle formula {formula!r} needs {name}: known are {', '.join(names) or 'no names'}"
                )
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names, formula), _value(right, names, formula))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _value(operand, names, formula)
            return -value if isinstance(sign, ast.USub) else value
    raise ProgramError(
        f"cycle formula {formula!r} has {ast.unparse(node)!r}: use integers, names, + - * // >> and ( ) only"
    )
