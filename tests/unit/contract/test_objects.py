"""Annotations of a released pod: what one operator writes is what another reads, of this version and of others."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipfarm_contract.fields import ContractError
from clipfarm_contract.objects import Gpu, Placement

AT = "2026-11-24T10:00:30Z"
WHOLE, PART = Gpu("node-1", 2, "GPU-a"), Gpu("node-1", 2, "GPU-a", "7")


@pytest.mark.parametrize(
    ("placement", "annotations"),
    [
        (Placement(None), {}),
        (Placement(AT), {"clipfarm.dev/released-at": AT}),
        (Placement(AT, "node-1"), {"clipfarm.dev/released-at": AT, "clipfarm.dev/node": "node-1"}),
        (Placement(AT, new_node=True), {"clipfarm.dev/released-at": AT, "clipfarm.dev/new-node": "true"}),
        (
            Placement(AT, "node-1", WHOLE),
            {
                "clipfarm.dev/released-at": AT,
                "clipfarm.dev/node": "node-1",
                "clipfarm.dev/gpu": '{"node": "node-1", "index": 2, "uuid": "GPU-a"}',
                "clipfarm.dev/gpu-uuid": "GPU-a",
            },
        ),
        (
            Placement(AT, "node-1", PART),
            {
                "clipfarm.dev/released-at": AT,
                "clipfarm.dev/node": "node-1",
                "clipfarm.dev/gpu": '{"node": "node-1", "index": 2, "uuid": "GPU-a", "instance": "7"}',
                "clipfarm.dev/gpu-uuid": "",
            },
        ),
    ],
)
def test_a_placement_is_these_annotations_and_is_read_back(placement, annotations):
    assert list(placement.dump().items()) == list(annotations.items())
    assert Placement.parse(annotations | {"example.org/note": "x"}) == placement


def test_an_instance_that_an_earlier_version_wrote_into_the_uuid_is_one():
    assert Gpu.parse('{"node": "node-1", "index": 2, "uuid": "GPU-a/7"}') == PART


def test_what_a_later_version_adds_is_passed_over():
    assert Gpu.parse('{"node": "node-1", "index": 2, "uuid": "GPU-a", "bus": "00:04.0"}') == WHOLE


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "gpu: not JSON"),
        ("2", "gpu: found 2, expected an object"),
        ("{}", "gpu.node: missing, expected a string"),
        ('{"node": "node-1", "index": "2"}', 'gpu.index: found "2", expected a whole number'),
        ('{"node": "node-1", "index": 2, "uuid": 3}', "gpu.uuid: found 3, expected a string"),
    ],
)
def test_what_is_no_gpu_is_refused_by_its_field_and_the_placement_is_read_without_it(text, problem):
    with pytest.raises(ContractError) as refused:
        Gpu.parse(text)
    assert str(refused.value).startswith(problem)
    assert Placement.parse({"clipfarm.dev/node": "node-1", "clipfarm.dev/gpu": text}) == Placement(None, "node-1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text() | JSON.map(json.dumps))
def test_whatever_stands_in_an_annotation_is_a_gpu_or_none(text):
    found = Placement.parse({"clipfarm.dev/gpu": text})
    assert found.gpu is None or Gpu.parse(found.gpu.dump()) == found.gpu
