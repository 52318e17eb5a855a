"""For `lerobot` (data sets of version 3.0): an episode a clip, many episodes in each video and each table.

The videos come first (:mod:`clipfarm_export.formats.episode_videos`). Only when all of them are there is it known which
clips are in, and so the number of each episode; then the tables are written.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from clipfarm_contract.fields import dump
from clipfarm_export import rows, tables
from clipfarm_export.destination.base import Destination
from clipfarm_export.errors import ExportError
from clipfarm_export.formats import episode_videos
from clipfarm_export.formats.episodes import Episodes
from clipfarm_export.formats.frame_features import ACTION, STATE, FrameFeatures, as_array
from clipfarm_export.job import Job
from clipfarm_export.parts import Made, Part, Record, Tick
from clipfarm_export.stored import Stored
from clipfarm_export.survey import Candidate
from clipfarm_export.video import decode

SHARD_MIB = 200
"""As `lerobot` itself divides videos."""
VERSION = "v3.0"
CHUNK = 1000
"""Files in a folder."""


def check(job: Job) -> None:
    """Refuse what this format does not have."""
    if job.options.video == "png":
        raise ExportError("--video: found png, expected lossless or h264: lerobot keeps frames as videos")
    if job.options.layers:
        raise ExportError("--layers: expected none: lerobot has no place for them; --format hf and webdataset have")


def parts(job: Job) -> list[Part]:
    """Return the parts that hold the videos."""
    return episode_videos.parts(job)


def look_again(job: Job) -> Callable[[Candidate], object]:
    """Return what looks again at a clip that was left out: it raises LeftOutError if the clip cannot be exported."""
    shape = cache(lambda: episode_videos.shape_of_all(job))  # all of the first clip is read for it
    return lambda candidate: episode_videos.look(job, candidate, shape())


def after(job: Job, place: Destination, records: Sequence[Record]) -> list[Part]:
    """Return the part with the tables of frames and episodes."""
    there = [record for record in records if record.facts["clips"]]

    def make(folder: Path, tick: Tick) -> Made:
        with ExitStack() as files:
            kept = [(r, files.enter_context(place.local(tables.rows_of(r.name)))) for r in there]
            features = FrameFeatures.of(job, [path for _, path in kept])
            episodes = files.enter_context(Episodes(job, features, folder))
            for record, path in kept:
                number = record.facts["file"]
                target = folder / f"data/chunk-{number // CHUNK:03d}/file-{number % CHUNK:03d}.parquet"
                rows.write(target, features.table(), _frames(episodes, features, number, rows.read(path)))
            episodes.close()
        info = _info(job, features, episodes, there)
        for name, content in (("info", info), ("stats", episodes.stats())):
            (folder / f"meta/{name}.json").write_text(dump(content))
        return Made()

    return [Part("lerobot-tables", 0, make)]


def configs(job: Job) -> list[dict[str, Any]]:
    """Return what the card tells `datasets`: the frames as one table."""
    return [{"config_name": "default", "data_files": "data/*/*.parquet"}]


def loading(job: Job) -> str:
    """Return an example for the card."""
    return (
        "from lerobot.datasets.lerobot_dataset import LeRobotDataset\n\n"
        'clips = LeRobotDataset("NAME", root="PATH", delta_timestamps={"observation.images.camera": [0.0, 0.1]})\n'
        'clips[0]["observation.images.camera"], clips[0]["observation.state"]'
    )


def describe(job: Job, records: Sequence[Record]) -> Mapping[str, bytes]:
    """Return the small files that only this format has: none, they are made with the tables."""
    return {}


def stored(root: Path, row: Mapping[str, Any]) -> Stored:
    """Return what an export has of a clip, by its row."""
    wanted = [("clip_id", "==", row["clip_id"])]
    [episode] = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet", filters=wanted).to_pylist()
    key, fps = episode_videos.KEY, row["fps"]
    first = round(episode[f"videos/{key}/from_timestamp"] * fps)
    video = root / "videos" / key / _file(episode, f"videos/{key}", "mp4")
    frames = islice(decode(video, first), episode["length"])
    mine = [("episode_index", "==", episode["episode_index"])]
    table = pq.read_table(root / "data" / _file(episode, "data", "parquet"), filters=mine).to_pydict()
    names = {"states": STATE, "actions": ACTION}
    series = {
        name: tables.shaped(row, name, as_array(table[feature], "float32"))
        for name, feature in names.items()
        if feature in table
    }
    return Stored(frames, series)


def _file(episode: Mapping[str, Any], of: str, ending: str) -> str:
    return f"chunk-{episode[f'{of}/chunk_index']:03d}/file-{episode[f'{of}/file_index']:03d}.{ending}"


def _frames(
    episodes: Episodes, features: FrameFeatures, file: int, clips: Iterator[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Return a row for each frame of the clips of a file."""
    for clip in clips:
        values = features.values(clip)
        start, number, task = episodes.add(clip, values, file)
        for i in range(clip["num_frames"]):
            yield {name: value[i] for name, value in values.items()} | {
                "timestamp": i / clip["fps"],
                "frame_index": i,
                "episode_index": number,
                "index": start + i,
                "task_index": task,
            }


def _info(job: Job, features: FrameFeatures, episodes: Episodes, there: Sequence[Record]) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": episodes.count,
        "total_frames": episodes.frames,
        "total_tasks": len(episodes.tasks),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": SHARD_MIB,
        "fps": job.survey.clips[0].fps,
        "splits": episodes.splits,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {episode_videos.KEY: episode_videos.feature(job, there[0])} | features.described(),
    }
