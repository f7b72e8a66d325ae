"""Formulas of x as text, read against a list of what they may hold and never run as Python.

The text is first cut into numbers, names and signs, and each must be a known one. What passes goes
to Python's own parser, and the tree it returns is walked with NumPy: there is no step at which
text becomes code.
"""

from __future__ import annotations

import ast
import difflib
import functools
import itertools
import math
import re
from collections.abc import Callable

import numpy as np

LONGEST = 200
DEEPEST = 30
LARGEST_POWER = 100
LARGEST_VALUE = 1e6

CONSTANTS = {"pi": math.pi, "e": math.e}

FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "ln": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "min": np.minimum,
    "max": np.maximum,
}

ALLOWED = (
    f"A formula holds numbers, x, {', '.join(CONSTANTS)}, the signs + - * / ** and ( ), and "
    f"{', '.join(FUNCTIONS)}."
)

_NAMES = ["x", *CONSTANTS, *FUNCTIONS]

_OPERATORS: dict[type[ast.AST], Callable[..., np.ndarray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.UAdd: np.positive,
    ast.USub: np.negative,
}

# How formulas are written elsewhere; each of these can mean one thing only.
_SPELLINGS = {"^": "**", "·": "*", "×": "*", "−": "-", "π": "pi", "²": "**2", "³": "**3"}

_DIGITS = ".0123456789"

# The empty one stands for both ends of a formula.
_SIGNS = ("", "+", "-", "*", "/", "**", "(", ")", ",")

_HINTS = {
    "=": "Write only what stands to the right of the =.",
    "|": "An absolute value is written abs(x).",
    "[": "Brackets are round here.",
    "{": "Brackets are round here.",
}

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign>\*\*|[-+*/(),]))"
)


def evaluate(formula: str, x: np.ndarray) -> np.ndarray:
    """Return a formula's values at the positions `x`, in their shape.

    Args:
        formula: Numbers, `x`, `pi`, `e`, the signs + - * / **, brackets and `FUNCTIONS`; at most
            200 characters.
        x: Positions.

    Raises:
        ValueError: With a sentence for whoever typed it: what is wrong, where, and what is
            allowed. Also where a value is not finite, or beyond a million.

    Example:
        >>> import numpy as np
        >>> evaluate("x^2 + 0.5", np.array([0.0, 2.0]))
        array([0.5, 4.5])
        >>> evaluate("sine(x)", np.array([0.0]))
        Traceback (most recent call last):
        ValueError: There is no 'sine' here: did you mean 'sin'?
    """
    positions = np.asarray(x, dtype=np.float64)
    tree = _parsed(formula)
    with np.errstate(all="ignore"):
        values = np.broadcast_to(_value(tree, positions), positions.shape).copy()
    for wrong, what in (
        (~np.isfinite(values), "has no finite value"),
        (np.abs(values) > LARGEST_VALUE, f"is beyond {LARGEST_VALUE:,.0f}"),
    ):
        if wrong.any():
            where = positions[wrong][np.abs(positions[wrong]).argmin()]
            raise ValueError(f"This formula {what} at x = {where:.3g}.")
    return values


@functools.lru_cache
def _parsed(formula: str) -> ast.expr:
    """Return the tree of a formula, in which everything is allowed."""
    if len(formula) > LONGEST:
        raise ValueError(
            f"A formula has at most {LONGEST} characters, and this one has {len(formula)}."
        )
    words = _words("".join(_SPELLINGS.get(character, character) for character in formula))
    if words:
        _check_neighbours(words)
        _check_brackets(words)
    if "x" not in words:
        raise ValueError(
            "A function to learn depends on x, and there is no x in this formula. "
            "Try sin(x) + 0.3*sin(3*x)."
        )
    # Put together again from known words: nothing else can reach the parser.
    text = " ".join(str(float(word)) if word[0] in _DIGITS else word for word in words)
    tree = ast.parse(text, mode="eval").body
    _check_tree(tree)
    return tree


def _words(text: str) -> list[str]:
    """Cut a formula into numbers, names and signs, each of them known."""
    for character, hint in _HINTS.items():
        if character in text:
            raise ValueError(f"{character!r} means nothing here. {hint}")
    words, position, text = [], 0, text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            character = text[position:].lstrip()[0]
            raise ValueError(f"{character!r} means nothing here. {ALLOWED}")
        word = token[0].strip()
        if token["name"] and word not in _NAMES:
            raise ValueError(_unknown_name(word))
        if token["number"] and not math.isfinite(float(word)):
            raise ValueError(f"{word} is too large a number.")
        words.append(word)
        position = token.end()
    return words


def _unknown_name(name: str) -> str:
    # "3x" gives "x" as a name of its own, so what is left are slips such as "sine" or "Sin".
    nearest = difflib.get_close_matches(name.lower(), _NAMES, n=1)
    if nearest:
        return f"There is no '{name}' here: did you mean '{nearest[0]}'?"
    return f"There is no '{name}' here. {ALLOWED}"


def _check_neighbours(words: list[str]) -> None:
    """Refuse a sign without its values, values without a sign, a function without brackets."""
    for word, following in itertools.pairwise(["", *words, ""]):
        if word in FUNCTIONS:
            if following != "(":
                raise ValueError(f"A function needs brackets: {word}(x).")
        elif word == ")" or word not in _SIGNS:
            if following == "(" or following not in _SIGNS:
                raise ValueError(
                    f"A sign is missing between '{word}' and '{following}': a product is written "
                    "with its *, as in 3*x."
                )
        elif following in _SIGNS and following not in ("(", "+", "-"):
            after = f"after '{word}'" if word else "at the start"
            before = f"before '{following}'" if following else "at the end"
            raise ValueError(f"A value is missing {after}, {before}.")


def _check_brackets(words: list[str]) -> None:
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth < 0:
            raise ValueError("There is a ')' without its '('.")
        if depth > DEEPEST:
            raise ValueError(f"Brackets are nested more than {DEEPEST} deep.")
    if depth:
        raise ValueError("There is a '(' without its ')'.")


def _check_tree(tree: ast.expr) -> None:
    """Refuse what the words allow and a formula does not."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST + 1):
        for node in level:
            _check_node(node)
        level = [child for node in level for child in _operands(node)]
        if not level:
            return
    raise ValueError(f"This formula is nested more than {DEEPEST} deep: make it simpler.")


def _check_node(node: ast.AST) -> None:
    match node:
        case ast.Name():
            return
        case ast.Constant(value=float()):
            return
        case ast.BinOp(op=operation) if type(operation) in _OPERATORS:
            return
        case ast.BinOp(op=ast.Pow()) | ast.UnaryOp():
            return
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]):
            wanted = 2 if name in ("min", "max") else 1
            if len(given) == wanted:
                return
            raise ValueError(
                f"{name} takes {wanted} value{'s'[: wanted - 1]}, and got {len(given)}."
            )
        case ast.Tuple():
            raise ValueError(
                "A comma stands between the two values of min and max only; decimals have a "
                "point, as in 0.3."
            )
    raise ValueError(f"'{ast.unparse(node)}' means nothing here. {ALLOWED}")


def _operands(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Call(args=given):
            return given
    return []


def _value(node: ast.AST, x: np.ndarray) -> np.ndarray:
    """Return the value of a tree that `_check_tree` passed."""
    operands = [_value(operand, x) for operand in _operands(node)]
    match node:
        case ast.Name(id="x"):
            return x
        case ast.Name(id=name):
            return np.asarray(CONSTANTS[name])
        case ast.Constant(value=float() as value):
            return np.asarray(value)
        case ast.Call(func=ast.Name(id=name)):
            return FUNCTIONS[name](*operands)
        case ast.BinOp(op=ast.Pow()):
            return _power(*operands)
        case ast.BinOp(op=operation) | ast.UnaryOp(op=operation):
            return _OPERATORS[type(operation)](*operands)
    raise ValueError(f"No formula has a {type(node).__name__}.")


def _power(base: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    largest = np.max(np.abs(exponent), initial=0.0)
    if not largest <= LARGEST_POWER:
        raise ValueError(f"Powers go up to {LARGEST_POWER} here, and this one is {largest:.3g}.")
    return np.power(base, exponent)
