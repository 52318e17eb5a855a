"""Numbers as ranges: on command lines, in a run's annotations, and in a Job's status."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm_contract.indexes import Indexes, compress


@given(st.sets(st.integers(0, 300)))
def test_a_set_is_written_and_read_back(numbers):
    found = Indexes.parse(compress(numbers))
    assert found == Indexes.of(numbers)
    assert list(found) == sorted(numbers)
    assert (len(found), str(found)) == (len(numbers), compress(numbers))
    assert {number for number in range(302) if number in found} == numbers
    assert [found.at(place) for place in range(len(found))] == sorted(numbers)


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_what_is_left_without_others_is_the_difference_of_sets(numbers, others):
    assert Indexes.of(numbers).without(Indexes.of(others)) == Indexes.of(numbers - others)


@given(st.sets(st.integers(0, 60)), st.integers(0, 70))
def test_numbers_below_another_are_those_that_are_less(numbers, number):
    assert set(Indexes.of(numbers).below(number)) == {each for each in numbers if each < number}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("7", [7]),
        ("0-2", [0, 1, 2]),
        ("0-1,5,9-9", [0, 1, 5, 9]),
        ("00012", [12]),
        ("9,3-4", [3, 4, 9]),
        ("1-4,2-3,4-5,5", [1, 2, 3, 4, 5]),
    ],
)
def test_ranges_are_read_in_any_order_and_each_number_counts_once(text, numbers):
    assert list(Indexes.parse(text)) == numbers


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([7], "7"), ([1, 2, 3], "1-3"), ([5, 1, 3, 4], "1,3-5")])
def test_numbers_are_written_as_a_jobs_status_does(numbers, text):
    assert compress(numbers) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [(each, each) for each in ("x", "3-1", "1-", "-1", "1 - 2", "1_0", "٣")] + [("1,,2", ""), ("1,", ""), ("1,b", "b")],
)
def test_what_is_no_range_is_refused_by_the_part_that_is_none(text, part):
    with pytest.raises(ValueError, match=f'found "{part}", expected ranges such as 0-99,105'):
        Indexes.parse(text)


def test_a_large_range_takes_no_room():
    numbers = Indexes.parse("0-999999999999")
    assert numbers.count == 10**12
    assert 5 * 10**11 in numbers
    assert "5" not in numbers


def test_there_is_nothing_beyond_the_last_place():
    with pytest.raises(IndexError):
        Indexes.parse("1,3-4").at(3)
