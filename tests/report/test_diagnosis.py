import keras_lcb as lcb
from keras_lcb.report.diagnosis import findings, item
from tests.diagnosis.trainings import times, training


def test_findings_stand_before_the_verdict_with_what_to_try(tmp_path):
    run = training(change=times("update_norm", "second", 1e-5))
    lcb.write_report(run, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.index("Updates too small (likely)") < page.index('class="verdict"')
    assert "learning_rate_multipliers={&quot;second&quot;: " in page


def test_a_sound_run_and_stacked_ones_say_nothing(run_factory):
    assert findings(training()) == []
    assert findings(training({"skipped_updates": 100}).expand_dims("seed")) == []


def test_names_of_layers_are_text_and_no_markup(hostile):
    hostile["update_norm"][1:, 0] = 0.0
    told = "".join(map(item, findings(hostile)))
    assert "<script>" not in told
    assert "&lt;script&gt;" in told
