"""The calculator: arithmetic on numbers, parsed with ``ast``; nothing is executed."""

import ast
import math
import operator
from collections.abc import Callable

from langchain_core.tools import BaseTool

from assistant.tools.results import make_tool

OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}

FUNCTIONS: dict[str, tuple[Callable, int, int]] = {
    "sqrt": (math.sqrt, 1, 1),
    "log": (math.log, 1, 2),
    "min": (min, 2, 50),
    "max": (max, 2, 50),
    "round": (round, 1, 2),
    "abs": (abs, 1, 1),
}
"""The functions, each with the fewest and the most arguments."""

CONSTANTS = {"pi": math.pi, "e": math.e}

SIGNS = {"×": "*", "÷": "/", "^": "**", "% of": "/ 100 *", "π": "pi", "（": "(", "）": ")", "，": ","}
"""Signs that people write, and their Python equivalents."""

LONGEST_EXPRESSION = 200
MOST_DECIMALS = 15
ALLOWED = f"only numbers, + - * / // % **, brackets, {', '.join([*FUNCTIONS, *CONSTANTS])} are allowed"


def calculate(expression: str) -> str:
    """Calculate numbers, for example (28 + 4) * 4096 or sqrt(2). Use + - * / ** and brackets, sqrt, log, min, max,
    round, abs, pi."""
    written = expression
    for sign, operator_sign in SIGNS.items():
        written = written.replace(sign, operator_sign)
    try:
        if len(written) > LONGEST_EXPRESSION:
            raise ValueError(f"it is longer than {LONGEST_EXPRESSION} characters")
        value = _value(ast.parse(written.strip(), mode="eval").body)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("the number is too large")
        return f"{expression} = {value}"
    except SyntaxError:
        return f"Cannot calculate {expression!r}: it is not an arithmetic expression."
    except (ValueError, ZeroDivisionError, OverflowError, RecursionError) as error:
        return f"Cannot calculate {expression!r}: {error}."


calculator: BaseTool = make_tool(calculate, name="calculator")


def _value(node: ast.expr) -> int | float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return _called(node.func.id, node)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and (abs(right) > 1000 or abs(left) > 1e9):
            raise ValueError("the power is too large")
        if isinstance(node.op, ast.Pow) and left < 0 and not float(right).is_integer():
            raise ValueError("a root of a negative number is not a real number")
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.operand))
    raise ValueError(ALLOWED)


def _called(name: str, call: ast.Call) -> int | float:
    function, fewest, most = FUNCTIONS[name]
    if call.keywords or not fewest <= len(call.args) <= most:
        raise ValueError(f"{name} takes {fewest}{f' to {most}' if most > fewest else ''} numbers")
    values = [_value(argument) for argument in call.args]
    if name == "sqrt" and values[0] < 0:
        raise ValueError("a root of a negative number is not a real number")
    if name == "log" and (min(values) <= 0 or values[1:] == [1]):
        raise ValueError("a logarithm needs positive numbers, and a base other than 1")
    if name == "round" and values[1:] and (not isinstance(values[1], int) or abs(values[1]) > MOST_DECIMALS):
        raise ValueError(f"round takes a whole number of decimals up to {MOST_DECIMALS}")
    return function(*values)
