"""An export for `datasets` is what the programs of its users take as it is."""

import json
import subprocess

import numpy as np
import pyarrow.parquet as pq

from helpers.readers import read
from helpers.run_folder import FEATURES, FRAMES, SIZE


def test_datasets_loads_the_splits_streams_them_and_decodes_every_frame_as_it_was(exported):
    found = read("hub", "hf", exported)
    assert found["feature"] == "Video"
    assert list(found["splits"]) == ["A1", "slippery_floor"]
    rows = [row for split in found["splits"].values() for row in split]
    assert [row["clip"] for row in rows] == [f"clip_{index:05d}" for index in range(6)]
    assert all(row["same"] and row["video"] for row in rows)
    assert {tuple(row["frames"]) for row in rows} == {(FRAMES, SIZE, SIZE, 3)}
    assert {tuple(row["states"]) for row in rows} == {(FRAMES, 2)}
    assert rows[3]["phase"] == "slippery floor"
    assert rows[0]["seed"] == str(2**63)
    assert found["streamed"] == [True] * 3
    assert found["metadata"]["rows"] == [row["clip"] for row in rows]
    assert not {"video", "states", "object_trajectory_positions"} & set(found["metadata"]["columns"])


def test_mlcroissant_accepts_the_description_and_reads_its_records(exported, a_run):
    found = read("hub", "croissant", exported / "croissant.json")
    assert found["errors"] == []
    assert found["rows"] == 6
    truth = json.loads(a_run.clip(0).ground_truth.read_text())
    assert found["first"]["clips/clip_id"] == "clip_00000"
    assert found["first"]["clips/friction"] == truth["friction"]
    assert found["first"]["clips/object_colour"] == truth["object"]["colour"]
    assert json.loads(found["first"]["clips/events"]) == truth["events"]


def test_decord_decodes_the_same_frames_also_single_ones(exported, tmp_path):
    row = pq.read_table(exported / "data" / "A1-00000-of-00001.parquet").to_pylist()[0]
    (tmp_path / "clip.mp4").write_bytes(row["video"]["bytes"])
    assert read("hub", "decord_frames", tmp_path / "clip.mp4") == {
        "sha256": row["pixels_sha256"],
        "single": [True, True],
    }


def test_safetensors_reads_the_features_as_the_run_has_them(exported, a_run):
    found = read("hub", "features", exported / "features" / FEATURES)
    assert list(found) == [f"clip_{index:05d}" for index in range(6)]
    for index in range(6):
        kind, values = found[f"clip_{index:05d}"]
        assert kind == "float16"
        assert np.array_equal(np.asarray(values, np.float16), np.load(a_run.clip(index).features(FEATURES)))


def test_sha256sum_accepts_the_list_of_hashes(exported):
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=exported, check=False)
    assert done.returncode == 0
    listed = {line.split("  ")[1] for line in (exported / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS", "README.md", "croissant.json"}


def test_every_original_hash_of_a_clip_is_in_the_provenance(exported, a_run):
    [row] = pq.read_table(exported / "metadata" / "provenance.parquet", filters=[("index", "==", 4)]).to_pylist()
    assert row == {
        "clip_id": "clip_00004",
        "index": 4,
        "clip_json": a_run.clip(4).manifest.read_text(),
        "ground_truth": a_run.clip(4).ground_truth.read_text(),
    }
