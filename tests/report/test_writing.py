import re
from collections import Counter
from html.parser import HTMLParser

import matplotlib.style
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

import keras_lcb
from keras_lcb import synthetic
from keras_lcb.plotting.figures import Figure, figures_of
from keras_lcb.report import figures, write_report
from keras_lcb.report.table import number
from keras_lcb.report.writing import _facts, page
from keras_lcb.runs import example_run, schema


class Elements(HTMLParser):
    """Collects each element's name and attributes, and the text of the page."""

    def __init__(self, html):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def elements(run):
    return Elements(page(run, "Title"))


_pages: dict[str, str] = {}


@pytest.fixture
def html(run_factory):
    """The report of a plain run, drawn once for all tests that only read it."""
    if not _pages:
        _pages["plain"] = page(run_factory(rates=(5.0, 4.0, 2.0, 1.0)), "Title")
    return _pages["plain"]


def test_holds_verdict_figures_table_caveats_settings_and_recipe(html):
    found = Elements(html)
    assert "Inconclusive in this one run: a verdict takes at least 5 seeds." in found.text
    assert "One run proves little" in found.text
    assert len(found.all("svg")) == 7  # four in the open, three folded away
    assert "Further quantities: angle, update norm, parameter norm" in found.text
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 40 for svg in found.all("svg"))
    assert len(found.all("tr")) > 5
    assert "1 / updates, the same for all layers" in found.text
    assert f"keras_lcb {keras_lcb.__version__}" in found.text
    assert "lcb.LayerConvergence(" in found.text


def test_ids_are_unique_and_what_refers_to_them_finds_them(html):
    found = Elements(html).found
    ids = Counter(attrs["id"] for _, attrs in found if "id" in attrs)
    assert max(ids.values()) == 1
    links = [attrs["href"] for _, attrs in found if attrs.get("href", "").startswith("#")]
    links += [f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", html)]
    assert links and {link[1:] for link in links} <= set(ids)


def test_loads_nothing_from_elsewhere(html):
    found = Elements(html)
    for tag, attrs in found.found:
        assert "src" not in attrs, tag
        assert attrs.get("href", "#").startswith(("#", "data:,")), tag
    (policy,) = [meta for meta in found.all("meta") if "http-equiv" in meta]
    assert policy["content"].startswith("default-src 'none'")


@pytest.mark.parametrize("residual, title", [(True, "Share of each frequency"), (False, "(R²)")])
def test_frequencies_have_figures_of_their_own(residual, title):
    config = synthetic.Config(depth=2, width=4, residual=residual, updates=4, record_every=2)
    told = page(synthetic.run(config), "A sum of sines")
    opened, _, folded = told.partition("<summary>Further quantities")
    assert opened.count("<figure><svg") == 6 and "angle" in folded
    assert title in told and " updates, k = 1:" in told
    assert "The layer that carries most of each: k = 1: layer_" in told
    assert " of :" not in told


def test_functions_have_a_figure_whose_lines_are_named():
    html = page(example_run(3, frequencies=(1, 3)), "Title")
    lines = re.findall(r'id="contributions-line-\d">\s*<title>(.*?)</title>', html)
    assert lines == ["target", "layer_0", "layer_1", "layer_2", "prediction"]


def test_names_are_never_markup(hostile):
    html = page(hostile, "Title")
    found = Elements(html)
    assert len(found.all("script")) == 2  # the viewer's run, and the report's own
    assert found.all("img") == found.all("b") == []
    assert r"$\frac$ ${style}" in found.text
    titles = re.findall(r"<title>(.*?)</title>", html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in titles


def test_colors_follow_the_theme(html):
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "#000000" not in drawings and "currentColor" in drawings
    used = set(re.findall(r"var\((--layer-[0-9a-f]{6})", drawings))
    light, dark = (set(re.findall(r"(--layer-\w{6}):", rule)) for rule in palettes(html))
    assert len(used) >= 3 and used <= light == dark


def palettes(html):
    return re.findall(r":root \{ (--layer.*?) \}", html)


def test_the_same_run_gives_the_same_page_whatever_the_users_settings(run_factory, html):
    run = run_factory(rates=(5.0, 4.0, 2.0, 1.0))
    with matplotlib.style.context("dark_background"), matplotlib.rc_context({"font.size": 30}):
        before = dict(matplotlib.rcParams), pyplot.get_fignums()
        assert page(run, "Title") == html
        assert (dict(matplotlib.rcParams), pyplot.get_fignums()) == before


def test_tells_where_nan_began(diverged):
    text = elements(diverged).text
    assert text.count("NaN or infinity began at update 55") == 1
    assert "45 updates had such values. Records before update 55 are valid" in text


def test_a_deep_network_that_diverged_at_once_has_a_report(run_factory):
    distance = np.full((8, 25), np.nan)
    text = elements(run_factory(distance, attrs={"first_nonfinite_update": 1})).text
    assert "NaN or infinity began at update 1" in text
    assert "Not drawn, since they have no values" in " ".join(text.split())


def test_seeds_are_told_and_leave_out_the_single_run(stacked):
    text = elements(stacked).text
    assert "Shallower faster over 5 runs" in text
    assert "This is one run" not in text


def test_a_run_of_one_callback_says_what_the_other_would_add(run_factory):
    run = run_factory(gradients=False)
    found = elements(run)
    assert len(found.all("svg")) == 3  # with the angle, folded away
    assert "The run holds no gradient_norm. Record it with" in found.text
    only_norms = run_factory().drop_vars(["distance", "normalized_distance", "angle"])
    assert "No verdict" in elements(only_norms).text


def test_what_was_measured_without_training_is_reported_too(untrained):
    found = elements(untrained)
    assert "trace" in found.text and "No verdict" in found.text
    assert found.all("svg") == []


def test_the_whole_model_is_no_further_layer(untrained):
    layers = [*untrained["layer"].values[:-1], "(all)"]
    own = len(layers) - 1
    run = untrained.assign_coords(layer=layers, parameters=("layer", [*[10] * own, 10 * own]))
    for part, count in ((run, own), (run.isel(layer=[-1]), 1)):
        facts = _facts(part)
        assert (facts["layers"], facts["parameters"]) == (count, 10 * own)


def test_the_last_loss_is_the_mean_over_all_seeds(stacked):
    losses = np.tile(np.arange(1.0, 6)[:, None], stacked.sizes["step"])
    losses[3:, -2:] = np.nan
    run = stacked.assign(loss=(("seed", "step"), losses))
    assert _facts(run)["last loss"] == 3.0


def test_parameters_are_those_of_one_seed(stacked):
    once = _facts(stacked)["parameters"]
    along_seeds = stacked["parameters"].expand_dims(seed=stacked["seed"])
    assert _facts(stacked.assign_coords(parameters=along_seeds))["parameters"] == once > 0


def test_a_loss_that_is_not_along_training_is_no_last_loss(untrained):
    run = untrained.assign(loss=(("direction", "alpha"), np.ones((2, 3))))
    assert "last loss" not in elements(run).text


def test_numbers_have_one_form_up_to_a_thousand_and_beyond():
    values = (999.4, 999.5, -999.7, 1000.4, 0.9999)
    assert list(map(number, values)) == ["999", "1,000", "-1,000", "1,000", "1"]


def test_values_of_the_table_can_be_sorted_by(run_factory):
    found = elements(run_factory([[1.0, 2.0, 0.0], [0.25, 0.5, 0.0]], steps=(0, 1200)))
    cells = [cell.get("data-value") for cell in found.all("td") if "data-value" in cell]
    assert "800.0" in cells  # time to half, as a program reads it
    assert "" in cells  # the layer that never moved


@pytest.mark.parametrize("value", [xr.Dataset(), xr.Dataset({"x": ("layer", np.ones(2))})])
def test_what_is_no_run_is_refused(value, tmp_path):
    with pytest.raises(ValueError, match="run with at least one layer"):
        write_report(value, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_records_is_refused(run_factory):
    with pytest.raises(ValueError, match="Train the model first"):
        page(run_factory().isel(step=[]), "Title")


def test_writes_the_page(untrained, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(untrained, path, title="A & B")
    html = path.read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in html and html.endswith("</html>\n")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_what_cannot_be_written_is_told_in_a_sentence(untrained, tmp_path):
    with pytest.raises(OSError, match="could not be written: its folder does not exist"):
        write_report(untrained, tmp_path / "none" / "report.html")
    with pytest.raises(OSError, match="could not be written"):
        write_report(untrained, tmp_path)


def test_a_report_that_fails_leaves_the_old_one(untrained, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_report(untrained, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_quantities_of_ones_own_have_a_figure_each(run_factory, tmp_path):
    run = run_factory()
    described = {"long_name": "share of signs <kept>", "units": "1"}
    values = np.linspace(0.4, 0.6, run.sizes["step"])[:, None] * np.array([1.0, 2.0, 3.0])
    coords = {name: run[name].values for name in ("step", "layer")}
    own = schema.dataset({"signs": (("step", "layer"), values, described)}, coords)
    write_report(run.assign(signs=own.signs), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Share of signs &lt;kept&gt;. Each line has its name at its end." in text
    assert "Least: layer_0 (0.5); most: layer_2 (1.5)." in text


@pytest.mark.parametrize(
    ("plot", "showing", "reading", "told"),
    [
        (lambda run, ax: run["nope"], str, str, "KeyError: "),
        (lambda run, ax: None, str, str, "must return the artists that it drew; mine returned ["),
        (lambda run, ax: ax.plot([1]), lambda run: None, str, "that of mine returned None."),
        (lambda run, ax: ax.plot([1]), lambda run: run["nope"], str, "KeyError: "),
        (lambda run, ax: ax.plot([1]), str, lambda run: run["nope"], "KeyError: "),
    ],
)
def test_a_figure_that_fails_is_named_and_the_others_are_drawn(
    run_factory, monkeypatch, plot, showing, reading, told
):
    run = run_factory()
    (one,) = [each for each in figures_of(run) if each.name == "convergence"]
    own = Figure("mine", plot, ("distance",), "", 0.0, reading, showing, ("distance",))
    monkeypatch.setattr(figures, "figures_of", lambda run: [own, one])
    monkeypatch.setattr(figures, "declared_figures", list)
    with pytest.warns(
        UserWarning, match="The figure mine is not drawn, .* with an error"
    ) as caught:
        text = Elements(figures.figures(run)).text
    (warning,) = (str(each.message) for each in caught)
    assert told in warning and warning in text
    assert one.reading(run) in text


def test_a_figure_that_refuses_a_run_is_named(run_factory, monkeypatch):
    def refuse(run, ax):
        raise ValueError("Nothing is finite.")

    own = Figure("mine", refuse, ("distance",), "", 0.0, str, str, ("distance",))
    monkeypatch.setattr(figures, "figures_of", lambda run: [own])
    assert "mine: Nothing is finite." in figures.figures(run_factory())
