from keras_lcb.viewer.bundle import in_script, path, static


def test_all_files_are_there_and_small():
    names = ["report.js", "widget.js", "atlas.js", "viewer.css", "atlas.css"]
    assert sum(path(name).stat().st_size for name in names) < 500_000


def test_nothing_is_loaded_from_elsewhere():
    for name in ("report.js", "widget.js", "atlas.js", "viewer.css", "atlas.css"):
        text = static(name).replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "@import" not in text


def test_markup_in_names_ends_no_script():
    assert "</script" not in in_script('{"name": "</script><script>alert(1)"}')
