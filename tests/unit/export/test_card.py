"""What an export says of itself: its card, and its licence."""

import json

import pytest
import yaml

from clipfarm_export import card
from clipfarm_export.licences import url
from helpers.exports import export
from helpers.run_folder import make_run


@pytest.mark.parametrize("form", ["hf", "webdataset"])
def test_the_card_counts_the_clips_that_are_there_and_names_no_split_without_any(tmp_path, form):
    run = make_run(tmp_path / "run", 4)
    for index in (0, 2, 3):
        run.clip(index).frame(0).write_bytes(b"")
    assert export(run.root, tmp_path / "out", form=form).exit_code == 1
    card = (tmp_path / "out" / "README.md").read_text()
    assert [line.split(" | ")[2] for line in card.splitlines() if line.startswith("| `")][:2] == ["1", "0"]
    front = yaml.safe_load(card.split("---\n")[1])
    assert [each["split"] for each in front["configs"][0]["data_files"]] == ["A1"]


def test_the_card_has_the_laws_of_a_phase_in_words():
    phase = {
        "name": "A",
        "friction": {"min": 0.1, "max": 0.5},
        "mass": {"min": 1.0, "max": 1.0},
        "factors": {
            "angle": {"values": [15.0, 20.0]},
            "size": {"log": {"min": 1, "max": 10}},
            "shape": {"names": ["cube"]},
        },
        "split": "train",
        "exclude": [{"mass": {"max": 2}}],
    }
    assert card._of_phase(phase) == (
        'friction 0.1 to 0.5, mass 1, split train, exclude [{"mass":{"max":2}}], angle 15 or 20,'
        " size 1 to 10 (logarithmic), shape cube"
    )


@pytest.mark.parametrize(
    ("licence", "place"),
    [
        ("cc-by-4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ("mit", "https://spdx.org/licenses/MIT.html"),
        ("apache-2.0", "https://spdx.org/licenses/Apache-2.0.html"),
        ("Zed", "https://spdx.org/licenses/Zed.html"),
        ("other", "other"),
        ("ask the author", "ask the author"),
        ("https://example.com/terms", "https://example.com/terms"),
    ],
)
def test_a_licence_leads_to_its_text(licence, place):
    assert url(licence) == place


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(["--name", " "], "--name: found ' ', expected a title, on one line", id="no title"),
        pytest.param(["--name", "a\n# b"], r"--name: found 'a\n# b', expected a title, on one line", id="two lines"),
        pytest.param(
            ["--license", ""], "--license: found '', expected an identifier such as cc-by-4.0", id="no licence"
        ),
    ],
)
def test_a_title_or_licence_that_is_none_is_refused_in_one_line(tmp_path, given, said):
    run = make_run(tmp_path / "run", 1)
    done = export(run.root, tmp_path / "out", *given)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_a_title_in_any_script_is_on_the_card_as_it_is(tmp_path):
    run = make_run(tmp_path / "run", 1)
    # With a wide space, and with a joiner inside a word.
    title = "Reibung „größer“ 摩擦\u3000実験 क्\u200dष"
    assert export(run.root, tmp_path / "out", "--name", title).exit_code == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"\n# {title}\n" in card
    assert yaml.safe_load(card.split("---\n")[1])["pretty_name"] == title
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["name"] == title
