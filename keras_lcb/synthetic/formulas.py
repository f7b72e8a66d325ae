"""Evaluates formulas of x that are given as text, without running the text as Python code.

The text is first split into numbers, names and signs, and each of them must be a known one. A
formula that passes this check goes to Python's own parser. Its syntax tree is checked, too, and
then evaluated with NumPy, node by node.
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

# Other common spellings, each with only one possible meaning.
_SPELLINGS = {"^": "**", "·": "*", "×": "*", "−": "-", "π": " pi "}
_RAISED = {"²": "2", "³": "3"}

_DIGITS = ".0123456789"

# The empty sign stands for the start and the end of a formula.
_SIGNS = ("", "+", "-", "*", "/", "**", "(", ")", ",")

_HINTS = {
    "=": "Write only the part to the right of the =.",
    "|": "Write an absolute value as abs(x).",
    "[": "Use round brackets.",
    "{": "Use round brackets.",
}

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign>\*\*|[-+*/(),]))"
)


def evaluate(formula: str, x: np.ndarray) -> np.ndarray:
    """Returns the values of a formula at the positions `x`.

    Args:
        formula: The formula. It may contain numbers, `x`, `pi`, `e`, the signs + - * / **, round
            brackets and the names in `FUNCTIONS`, and has at most 200 characters.
        x: An array of positions.

    Returns:
        An array of values, with the shape of `x`.

    Raises:
        ValueError: If the text is not such a formula, or a value is not finite or larger than a
            million. The message is a sentence for the person who typed the formula. It says what
            is wrong, where, and what is allowed.

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
        (np.abs(values) > LARGEST_VALUE, f"exceeds {LARGEST_VALUE:,.0f}"),
    ):
        if wrong.any():
            where = positions[wrong][np.abs(positions[wrong]).argmin()]
            raise ValueError(f"This formula {what} at x = {where:.3g}.")
    return values


@functools.lru_cache
def _parsed(formula: str) -> ast.expr:
    """Returns the syntax tree of a formula, after all checks."""
    if len(formula) > LONGEST:
        raise ValueError(
            f"A formula may have at most {LONGEST} characters; this one has {len(formula)}."
        )
    words = _words(_spelled(formula))
    if words:
        _check_neighbours(words)
        _check_brackets(words)
    if "x" not in words:
        raise ValueError(
            "The formula must depend on x, but it does not contain x. Try sin(x) + 0.3*sin(3*x)."
        )
    # The text for the parser is joined from the checked words, so that it holds nothing else.
    text = " ".join(str(float(word)) if word[0] in _DIGITS else word for word in words)
    tree = ast.parse(text, mode="eval").body
    _check_tree(tree)
    return tree


def _spelled(formula: str) -> str:
    """Returns a formula with the usual spellings of its signs.

    Spaces keep words apart that the formula sets apart: x²3 is not x to the power of 23.
    """
    text = re.sub(
        f"[{''.join(_RAISED)}]+",
        lambda run: f"**{''.join(_RAISED[digit] for digit in run[0])} ",
        formula,
    )
    return "".join(_SPELLINGS.get(character, character) for character in text)


def _words(text: str) -> list[str]:
    """Splits a formula into numbers, names and signs, and checks that each is a known one."""
    for character, hint in _HINTS.items():
        if character in text:
            raise ValueError(f"A formula cannot contain {character!r}. {hint}")
    words, position, text = [], 0, text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            character = text[position:].lstrip()[0]
            raise ValueError(f"A formula cannot contain {character!r}. {ALLOWED}")
        word = token[0].strip()
        if token["name"] and word not in _NAMES:
            raise ValueError(_unknown_name(word))
        if token["number"] and not math.isfinite(float(word)):
            raise ValueError(f"The number {word} is too large.")
        words.append(word)
        position = token.end()
    return words


def _unknown_name(name: str) -> str:
    # "3x" is split into "3" and "x". Unknown names are mistakes such as "sine" or "Sin".
    nearest = difflib.get_close_matches(name.lower(), _NAMES, n=1)
    if nearest:
        return f"There is no '{name}' here: did you mean '{nearest[0]}'?"
    return f"There is no '{name}' here. {ALLOWED}"


def _check_neighbours(words: list[str]) -> None:
    """Checks that operators stand between values, and that functions are followed by brackets."""
    for word, next_word in itertools.pairwise(["", *words, ""]):
        if word in FUNCTIONS:
            if next_word != "(":
                raise ValueError(f"A function needs brackets: {word}(x).")
        elif word == ")" or word not in _SIGNS:
            if next_word == "(" or next_word not in _SIGNS:
                raise ValueError(
                    f"A sign is missing between '{word}' and '{next_word}': write a product "
                    "with *, as in 3*x."
                )
        elif next_word in _SIGNS and next_word not in ("(", "+", "-"):
            after = f"after '{word}'" if word else "at the start"
            before = f"before '{next_word}'" if next_word else "at the end"
            raise ValueError(f"A value is missing {after}, {before}.")


def _check_brackets(words: list[str]) -> None:
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth < 0:
            raise ValueError("There is a ')' without a '('.")
        if depth > DEEPEST:
            raise ValueError(f"Brackets may be nested at most {DEEPEST} deep.")
    if depth:
        raise ValueError("There is a '(' without a ')'.")


def _check_tree(tree: ast.expr) -> None:
    """Checks the syntax tree: known words can still be combined in a way that is not a formula."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST + 1):
        for node in level:
            _check_node(node)
        level = [child for node in level for child in _operands(node)]
        if not level:
            return
    raise ValueError(f"A formula may be nested at most {DEEPEST} deep: make it simpler.")


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
                f"{name} takes {wanted} value{'s'[: wanted - 1]}; received {len(given)}."
            )
        case ast.Tuple():
            raise ValueError(
                "A comma may stand only between the two values of min and max. Write decimals "
                "with a point, as in 0.3."
            )
    raise ValueError(f"A formula cannot contain '{ast.unparse(node)}'. {ALLOWED}")


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
    """Returns the value of a tree that `_check_tree` has checked."""
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
    raise ValueError(f"A formula cannot contain a {type(node).__name__}.")


def _power(base: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    largest = np.max(np.abs(exponent), initial=0.0)
    if not largest <= LARGEST_POWER:
        raise ValueError(f"An exponent may be at most {LARGEST_POWER}; this one is {largest:.3g}.")
    return np.power(base, exponent)
