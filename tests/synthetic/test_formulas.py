"""Formulas as text: what is allowed agrees with NumPy, and nothing else gets through."""

import json
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_lcb.synthetic import Config, Expression, formulas, target_from_dict

X = np.linspace(-3, 3, 101)[:, None]
NUMPY = {
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp")},
    **{name: getattr(np, name) for name in ("log", "sqrt", "sign", "floor")},
    **{"asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "ln": np.log, "abs": np.abs},
    **{"min": np.minimum, "max": np.maximum, "pi": np.asarray(np.pi), "e": np.asarray(np.e)},
    "number": lambda value: np.asarray(float(value)),
}


def plain_numpy(formula):
    # Python's own floats differ from NumPy's in the last digit of some powers.
    formula = re.sub(r"(?<!\w)(\d+\.?\d*|\.\d+)(e-?\d+)?", r"number(\g<0>)", formula)
    with np.errstate(all="ignore"):
        return eval(formula, {"__builtins__": {}}, {**NUMPY, "x": X})  # the oracle


def composed(inner):
    """Formulas made of simpler ones."""
    one = st.sampled_from([name for name in formulas.FUNCTIONS if name not in ("min", "max")])
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}({})".format, one, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
        st.builds("{}**{}".format, inner, st.sampled_from(["2", "3.", "-1", "0.5", "x"])),
        st.builds("-{}".format, inner),
    )


LEAVES = st.sampled_from(["x", "x", "2", "0.5", ".25", "1e-3", "pi", "e", "3."])
FORMULAS = st.recursive(LEAVES, composed, max_leaves=8).map(lambda inner: f"x + {inner}")


@given(FORMULAS)
def test_agrees_with_numpy(formula):
    try:
        values = formulas.evaluate(formula, X)
    except ValueError as refusal:
        expected = np.broadcast_to(plain_numpy(formula), X.shape)
        refused = ("finite" in str(refusal), "exceeds" in str(refusal), "exponent" in str(refusal))
        assert any(refused) or len(formula) > formulas.LONGEST or "nested" in str(refusal)
        if refused[0]:
            assert not np.isfinite(expected).all()
        if refused[1]:
            assert np.abs(expected).max() > formulas.LARGEST_VALUE
    else:
        assert values.shape == X.shape
        np.testing.assert_array_equal(values, plain_numpy(formula) + 0 * X)


PIECES = st.sampled_from(
    [*formulas.FUNCTIONS, *"x+-*/(),.0123456789^|=[]{}:;'\"@%&~<>!\\ \n\t\0", "**", "//", "π", "²"]
    + ["e", "1e9", "lambda", "for", "in", "if", "else", "not", "and", ":=", "__class__", "x."]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)))
def test_raises_nothing_but_a_sentence(text):
    try:
        values = formulas.evaluate(text, X)
    except ValueError as refusal:
        assert type(refusal) is ValueError
        assert str(refusal).endswith((".", "?"))
        assert "\n" not in str(refusal).replace(text, "")
    else:
        assert np.isfinite(values).all()


REFUSED = {
    "x.real": "'.'",
    "x.__class__": "'.'",
    "(1).__class__*x": "'.'",
    "().__class__": "'.'",
    "open(x)": "'open'",
    "eval(x)": "'eval'",
    "__import__('os')*x": "'__import__'",
    "np.sin(x)": "'np'",
    "lambda: x": "'lambda'",
    "(lambda x: x)(x)": "'lambda'",
    "(x := 3)": "'='",
    "[x for x in x]": "'['",
    "(x for x in x)": "'for'",
    "{x: x}": "'{'",
    "x if x else x": "'if'",
    "x and x": "'and'",
    "x < 1": "'<'",
    "x[0]": "'['",
    "f'{x}'": "'{'",
    "'x'": '"\'"',
    "await x": "'await'",
    "sin(*x)": "after '(', before '*'",
    "sin(**x)": "after '(', before '**'",
    "sin(x=x)": "'='",
    "x // 2": "after '/', before '/'",
    "x % 2": "'%'",
    "x @ x": "'@'",
    "x; x": "';'",
    "x\\\n+ 1": repr("\\"),
    "1j*x": "'j'",
    "0x10*x": "'x10'",
    "1_000*x": "'_000'",
    "...": "'.'",
    "x + None": "'None'",
    "sin": "sin(x)",
    "sin(sin)": "sin(x)",
    "x(2)": "between 'x' and '('",
    "٣*x": "'٣'",
    "ｘ": "'ｘ'",
}


@pytest.mark.parametrize("formula", REFUSED)
def test_refuses_what_is_no_formula(formula):
    with pytest.raises(ValueError) as refusal:
        formulas.evaluate(formula, X)
    assert REFUSED[formula] in str(refusal.value)


@pytest.mark.parametrize(
    "formula, sentence",
    [
        ("sine(x)", "There is no 'sine' here: did you mean 'sin'?"),
        ("Cos(x)", "did you mean 'cos'?"),
        ("3x", "between '3' and 'x': write a product with *, as in 3*x."),
        ("2 sin(x)", "between '2' and 'sin'"),
        ("(x)(x)", "between ')' and '('"),
        ("sin x", "A function needs brackets: sin(x)."),
        ("sin(x", "There is a '(' without a ')'."),
        ("x)", "There is a ')' without a '('."),
        ("x +", "A value is missing after '+', at the end."),
        ("*x", "A value is missing at the start, before '*'."),
        ("sin()*x", "A value is missing after '(', before ')'."),
        ("0,3*x", "decimals with a point, as in 0.3"),
        ("sin(x, 2)", "sin takes 1 value; received 2."),
        ("max(x)", "max takes 2 values; received 1."),
        ("y = x", "Write only the part to the right of the =."),
        ("|x|", "Write an absolute value as abs(x)."),
        ("3", "it does not contain x"),
        (" ", "it does not contain x"),
        ("1/x", "no finite value at x = 0."),
        ("log(x - 5)", "no finite value at x ="),
        ("exp(exp(x))", "exceeds 1,000,000 at x ="),
        ("x**1000", "An exponent may be at most 100; this one is 1e+03."),
        ("x" + " + x" * 60, "at most 200 characters; this one has 241"),
        ("1e999*x", "The number 1e999 is too large."),
        ("(" * 31 + "x" + ")" * 31, "nested at most 30 deep"),
        ("-" * 40 + "x", "nested at most 30 deep"),
    ],
)
def test_says_what_is_wrong(formula, sentence):
    with pytest.raises(ValueError) as refusal:
        formulas.evaluate(formula, np.linspace(-3, 3, 7))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "formula",
    [
        "9**9**9**9**9**9*x",
        "x**9**9**9",
        "9" * 199 + "*x",
        "(" * 99 + "x" + ")" * 99,
        "sin(" * 40 + "x" + ")" * 40,
        "-" * 199 + "x",
        "x*" * 100,
        "x" * 10**7,
        "x**-" * 49 + "x",
    ],
)
def test_nothing_hangs(formula):
    start = time.monotonic()
    with pytest.raises(ValueError):
        formulas.evaluate(formula, X)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "written, meant",
    [
        ("x^2", "x**2"),
        ("x² − x³", "x**2 - x**3"),
        ("(x/3)²³", "(x/3)**23"),
        ("2·x", "2*x"),
        ("2×π×x", "2*pi*x"),
        ("-x", "0-x"),
    ],
)
def test_other_spellings(written, meant):
    np.testing.assert_array_equal(formulas.evaluate(written, X), formulas.evaluate(meant, X))


@pytest.mark.parametrize("formula", ["x²3", "x³0.5", "2πx", "x²x"])
def test_words_that_signs_keep_apart_are_no_longer_words(formula):
    with pytest.raises(ValueError, match="A sign is missing between"):
        formulas.evaluate(formula, X)


def test_an_expression_is_a_target_that_json_brings_back():
    target = Expression("sin(x) + 0.3*sin(3*x)", noise=0.1, seed=4)
    assert target.frequencies == (1, 3)
    assert target_from_dict(json.loads(json.dumps(target.to_dict()))) == target
    config = Config(target=target)
    assert Config.from_json(config.to_json()) == config
    x = target.grid(64)
    np.testing.assert_allclose(target.clean(x), np.sin(x) + 0.3 * np.sin(3 * x))


@pytest.mark.parametrize(
    "formula, sentence",
    [("0*x", "constant"), ("x - x + 2", "constant"), (3, "text"), ("1/(x+pi/2)", "finite")],
)
def test_an_expression_is_something_to_learn(formula, sentence):
    with pytest.raises(ValueError, match=sentence):
        Expression(formula)


def test_text_from_a_file_is_checked():
    with pytest.raises(ValueError, match="'__import__'"):
        target_from_dict({"kind": "Expression", "formula": "__import__('os').system('x')"})
