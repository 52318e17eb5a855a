import pytest

from clipfarm.units import (
    cpus_text,
    duration_text,
    format_bytes,
    format_clips,
    format_duration,
    parse_cpus,
    parse_duration,
    parse_quantity,
    quantity_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604800), ("2.5s", 2.5), ("0s", 0)]
)
def test_durations_are_read_in_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "5 s", "1s1m", "5m30"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "count"), [("2Gi", 2**31), ("500M", 500_000_000), ("1.5Ki", 1536), ("7", 7)])
def test_sizes_are_read_in_bytes(text, count):
    assert parse_quantity(text) == count


@pytest.mark.parametrize(("text", "cpus"), [("2", 2), ("0.5", 0.5), ("500m", 0.5), ("1500m", 1.5), ("12.250", 12.25)])
def test_cpus_are_read_whole_or_in_thousandths(text, cpus):
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["", "m", "1.5m", "-1", "2 ", "1e3", "0.0001"])
def test_what_is_no_number_of_cpus_is_refused(text):
    with pytest.raises(ValueError, match="expected CPUs such as 2,"):
        parse_cpus(text)


@pytest.mark.parametrize("text", ["2", "500m", "1m", "12250m"])
def test_cpus_are_written_as_they_are_read(text):
    assert cpus_text(parse_cpus(text)) == text


@pytest.mark.parametrize("text", ["", "Gi", "2 Gi", "-1Gi", "2GiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="expected a size"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (250, "4m 10s"),
        (3600, "1h 00m"),
        (7500, "2h 05m"),
        (273600, "3d 4h"),
    ],
)
def test_durations_are_shown_in_their_two_largest_units(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(512, "512 B"), (2048, "2.0 KiB"), (3.25 * 2**20, "3.2 MiB"), (133 * 2**30, "133.0 GiB")]
)
def test_sizes_are_shown_in_the_unit_that_fits(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize("text", ["0s", "30s", "5m", "1h30m", "7d", "2.5s", "1d2h3m4s"])
def test_a_duration_is_written_as_it_is_read(text):
    assert duration_text(parse_duration(text)) == text


@pytest.mark.parametrize("text", ["2Gi", "1Ti", "512Mi", "3Ki", "1000"])
def test_a_size_is_written_as_it_is_read(text):
    assert quantity_text(parse_quantity(text)) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips")])
def test_one_clip_is_singular(count, text):
    assert format_clips(count) == text
