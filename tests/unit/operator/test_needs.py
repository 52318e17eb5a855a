"""What this machine lacks for a run, and whether it would matter in a cluster."""

import json
from typing import Any

import pytest

from clipfarm.cli import needs
from clipfarm.run import Run
from helpers.runs import document, make_run

ENCODE = {"weights": {"source": "random"}}
ON_THE_VOLUME = "in a cluster /clips is the run's volume, and this has to be on it"


def shows(manifest: object, *objects: str, **more: str) -> dict[str, Any]:
    """An experiment with objects of a manifest."""
    assets = {"manifest": str(manifest)} | more
    return document()["spec"]["experiment"] | {"objects": list(objects or ["teapot"]), "assets": assets}


def only(run: Run) -> needs.Missing:
    (found,) = needs.missing(run)
    return found


def test_a_run_that_this_machine_can_do_lacks_nothing():
    assert needs.missing(make_run(encode=ENCODE)) == []


@pytest.mark.parametrize(
    ("content", "objects", "more", "mistake"),
    [
        (None, ["teapot"], {}, "assets.manifest: {path} cannot be read: No such file or directory"),
        ("[1]", ["teapot"], {}, "assets.manifest: {path} is no manifest of Kubric's"),
        ("[" * 100_000, ["teapot"], {}, "assets.manifest: {path} is no manifest of Kubric's"),
        ('{"assets": "teapot"}', ["teapot"], {}, "assets.manifest: {path} is no manifest of Kubric's"),
        (
            json.dumps({"assets": {"teapots": {"asset_type": "FileBasedObject"}}}),
            ["teapot"],
            {},
            'objects: found "teapot", which {path} does not list (did you mean teapots?)',
        ),
        (
            json.dumps({"assets": {"sky": {"asset_type": "Texture"}}}),
            ["cube", "sky"],
            {},
            'objects: "sky" is a Texture, expected a FileBasedObject',
        ),
        ("{}", ["cube"], {"sha256": "0" * 64}, "assets.sha256: {path} is another file, of sha256 44136fa355b3678a"),
    ],
)
def test_a_manifest_is_read_as_the_renderer_reads_it(tmp_path, content, objects, more, mistake):
    path = tmp_path / "assets.json"
    if content is not None:
        path.write_text(content)
    found = only(make_run(experiment=shows(path, *objects, **more)))
    assert found.mistake.startswith("spec.experiment." + mistake.format(path=path))
    assert found.in_a_cluster == ""


@pytest.mark.parametrize(
    ("spec", "in_a_cluster"),
    [
        ({"experiment": shows("/clips/GSO.json")}, ON_THE_VOLUME),
        ({"experiment": shows("/a.json"), "render": {"image": "own:1"}}, "in a cluster it has to be in own:1"),
        ({"experiment": shows("/a.json")}, ""),
        ({"encode": {"weights": {"source": "/clips/vitl.pt"}}}, ON_THE_VOLUME),
        ({"encode": {"weights": {"source": "/models/vitl.pt"}}}, ""),
        ({"render": {"command": ["/no/renderer"]}}, ""),
        ({"render": {"command": ["/no/renderer"], "image": "own:1"}}, "in a cluster it has to be in own:1"),
        ({"suspend": True}, "in a cluster it can be changed at any time"),
    ],
)
def test_what_another_machine_may_have_is_no_mistake_in_a_cluster(spec, in_a_cluster):
    assert only(make_run(**spec)).in_a_cluster == in_a_cluster


def test_what_a_renderer_of_ones_own_reads_is_not_looked_into():
    assert needs.missing(make_run(experiment=shows("/a.json"), render={"command": ["true"]})) == []


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("", None),
        ("4,2", None),
        (" 8 ", None),
        ("many", "the variable OMP_NUM_THREADS: found 'many', expected a whole number from 1 to 1024"),
        ("0", "the variable OMP_NUM_THREADS: found '0', expected a whole number from 1 to 1024"),
    ],
)
def test_thread_variables_matter_where_clips_are_encoded(monkeypatch, value, mistake):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert needs.missing(make_run()) == []
    assert [found.mistake for found in needs.missing(make_run(encode=ENCODE))] == ([mistake] if mistake else [])


def test_a_module_that_does_not_end_is_no_reason_to_wait_for_ever():
    experiment = document()["spec"]["experiment"] | {"name": "slide", "module": {"source": "while True: pass"}}
    experiment.pop("impulse", None)
    found = only(make_run(experiment=experiment, render={"timeout": "1s"}))
    assert found.mistake.startswith("spec.experiment.module: found the first clip not drawn, built and moved after 1 s")
    assert found.in_a_cluster == ""
