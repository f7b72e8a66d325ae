import pytest

from benchmarks.memory import measure


@pytest.fixture(scope="module")
def sizes():
    return {
        (kind, records): measure(kind, records, small=True)
        for kind in ("exact", "sketch")
        for records in (3, 13)
    }


def growth(sizes, kind):
    """MiB of arrays that one record more takes."""
    return (sizes[kind, 13]["arrays_mib"] - sizes[kind, 3]["arrays_mib"]) / 10


def test_records_are_counted(sizes):
    assert [measured["records"] for measured in sizes.values()] == [3, 13, 3, 13]


def test_an_exact_record_takes_four_bytes_a_parameter(sizes):
    parameters = sizes["exact", 3]["parameters"]
    assert growth(sizes, "exact") == pytest.approx(4 * parameters / 2**20, rel=0.02)


def test_a_sketched_record_takes_four_bytes_a_bucket(sizes):
    # Each of the five layers is larger than the 1,024 buckets.
    assert growth(sizes, "sketch") == pytest.approx(5 * 1024 * 4 / 2**20, rel=0.02)


def test_the_moment_and_the_process_take_no_less_than_what_is_held(sizes):
    for measured in sizes.values():
        assert measured["most_held_mib"] >= measured["held_mib"] >= measured["arrays_mib"]
        assert measured["peak_rss_mib"] > measured["held_mib"]
