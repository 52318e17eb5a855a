"""The columns that a ground truth becomes, without knowing the experiment."""

import json

import pytest

from clipfarm_export.truth import Columns, Kind


@pytest.mark.parametrize(
    ("truth", "kinds", "values"),
    [
        pytest.param({"friction": 0.5}, {"friction": Kind.FLOAT}, {"friction": 0.5}, id="a number"),
        pytest.param({"impulse": {"atFrame": 1}}, {"impulse_at_frame": Kind.INT}, {"impulse_at_frame": 1}, id="nested"),
        pytest.param(
            {"factors": {"slope": 2.0}}, {"slope": Kind.FLOAT}, {"slope": 2.0}, id="factors by their own names"
        ),
        pytest.param(
            {"factors": {"bodies": 2}, "bodies": [{"mass": 1.0}]},
            {"bodies": Kind.INT, "truth_bodies": Kind.JSON},
            {"bodies": 2, "truth_bodies": '[{"mass":1.0}]'},
            id="a factor before what has its name",
        ),
        pytest.param(
            {"angle": 15, "factors": {"angle": 15.0}}, {"angle": Kind.FLOAT}, {"angle": 15.0}, id="a factor said twice"
        ),
        pytest.param(
            {"object_size": 2, "objectSize": 1},
            {"object_size": Kind.INT, "truth_object_size": Kind.INT},
            {"object_size": 1, "truth_object_size": 2},
            id="two values of one name",
        ),
        pytest.param(
            {"object": {"rolls": True}}, {"object_rolls": Kind.BOOL}, {"object_rolls": True}, id="a truth value"
        ),
        pytest.param({"at": [1, 2.5]}, {"at": Kind.VECTOR}, {"at": [1.0, 2.5]}, id="a list of numbers"),
        pytest.param({"at": [[1], [2]]}, {"at": Kind.MATRIX}, {"at": [[1.0], [2.0]]}, id="a list of lists"),
        pytest.param({"camera": {"f": 35}}, {"camera": Kind.JSON}, {"camera": '{"f":35}'}, id="the camera as JSON"),
        pytest.param({"events": []}, {"events": Kind.JSON}, {"events": "[]"}, id="events as JSON, also none"),
        pytest.param({"big": 2**64}, {"big": Kind.JSON}, {"big": str(2**64)}, id="no number of 64 bits"),
        pytest.param({"odd": [1, "a"]}, {"odd": Kind.JSON}, {"odd": '[1,"a"]'}, id="a list of anything"),
        pytest.param({"states": 1}, {"truth_states": Kind.INT}, {"truth_states": 1}, id="a name that is taken"),
        pytest.param({"recipe": {"seed": 1}, "seed": {"run": 1}}, {}, {}, id="what other columns say"),
        pytest.param({"mass": None}, {}, {}, id="nothing"),
    ],
)
def test_a_ground_truth_becomes_columns(truth, kinds, values):
    columns = Columns()
    columns.add(truth)
    assert columns.kinds == kinds
    assert columns.values(truth) == values


@pytest.mark.parametrize(
    ("first", "second", "kind", "value"),
    [
        pytest.param(1, 2.5, Kind.FLOAT, 1.0, id="whole and other numbers"),
        pytest.param(1, "a", Kind.JSON, "1", id="numbers and texts"),
        pytest.param([1.0], None, Kind.VECTOR, [1.0], id="a value and none"),
        pytest.param([1.0], [[1.0]], Kind.JSON, "[1.0]", id="lists of two kinds"),
    ],
)
def test_a_column_holds_the_values_of_all_clips(first, second, kind, value):
    columns = Columns()
    columns.add({"factor": first})
    columns.add({"factor": second})
    assert columns.kinds == {"factor": kind}
    assert columns.values({"factor": first}) == {"factor": value}
    assert columns.values({}) == {"factor": None}


def test_a_list_with_a_number_that_is_larger_than_any_float_is_kept_as_text():
    columns = Columns()
    columns.add({"big": [10**400, 1]})
    assert columns.kinds == {"big": Kind.JSON}
    assert columns.values({"big": [10**400, 1]}) == {"big": f"[{10**400},1]"}


def test_the_order_of_clips_does_not_change_the_columns():
    truths = [{"b": 1, "a": 2.0}, {"a": 1}, {"c": "x"}]
    forth, back = Columns(), Columns()
    for truth in truths:
        forth.add(truth)
    for truth in reversed(truths):
        back.add(truth)
    assert json.dumps(forth.values(truths[0])) == json.dumps(back.values(truths[0]))
