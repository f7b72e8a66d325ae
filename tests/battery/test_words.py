"""Whatever users and strangers write, it is shown as text, and read within bounds."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_lcb.lab.settings.line import read_line
from keras_lcb.report.writing import page
from keras_lcb.runs import example_run

MARKUP = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "</title></svg></style><iframe src='javascript:alert(3)'>",
    "]]><!-- ${title} {0} %s $\\frac$",
]


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.names, self.attributes = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}

    handle_startendtag = handle_starttag


def marked(run, text):
    """The run, with the text in every place where a run holds text."""
    layers = [f"{text}{place}" for place in range(run.sizes["layer"])]
    run = run.assign_coords(layer=layers, kind=("layer", [text] * len(layers)))
    run = run.assign_attrs(
        dict.fromkeys(["optimizer", "reference", "backend", "keras_version", "dataset"], text)
    )
    run.attrs |= {
        "settings": f'{{"GradientNorms": {{"command": {quoted(text)}, {quoted(text)}: 1}}}}',
        "missing": f'{{"angle/{layers[0]}": "x"}}' if '"' not in text else "{}",
    }
    for name in run.data_vars:
        run[name].attrs |= {"long_name": text, "units": text}
    return run


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@pytest.fixture(scope="module")
def plain():
    """The tags of a report on a run with harmless texts."""
    return Tags(page(example_run(3), "Title"))


@pytest.mark.parametrize("text", MARKUP)
def test_no_text_of_a_run_is_markup_in_its_report(text, plain):
    html = page(marked(example_run(3), text), text)
    found = Tags(html)
    assert found.names.count("script") == plain.names.count("script")
    assert not {"img", "iframe"} & set(found.names)
    assert found.attributes <= plain.attributes | {"tabindex"}
    assert text not in html or "<" not in text


WORDS = st.sampled_from(
    [
        "depth",
        "width",
        "target",
        "seeds",
        "show",
        "lab",
        "__class__",
        "=",
        "&",
        "%00",
        "%ff",
        "9e999",
    ]
    + ["sin(", "x", "**", "1e308", "-", "true", "nan", "__import__('os')", "\n", "+", ";", ","]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS | st.text(max_size=5), max_size=12).map("".join))
@example("target=" + "(" * 1900)
@example("target=" + "9**9**9**9*x")
@example("depth=" + "9" * 1900)
@example("target=" + "x" * 10**6)
@example("&".join(["depth=3"] * 10**5))
@example("width=1_0")
def test_a_line_is_a_lab_or_is_refused_in_a_sentence_at_once(line):
    started = time.perf_counter()
    try:
        _, read, look = read_line(line, "depth")
    except ValueError as refusal:
        assert len(str(refusal)) < 5000
    else:
        assert 1 <= read.depth <= 12 and 4 <= read.width <= 256 and read.updates <= 20_000
        assert set(look) <= {"show", "pictures", "predict", "projector"}
    assert time.perf_counter() - started < 5.0
