"""Read an export as `datasets` does: all splits, a stream, metadata; decode the videos with PyAV."""

import hashlib
import io
import json
import sys
import tempfile

import av
import numpy as np
from datasets import Video, load_dataset


def decoded(video):
    with av.open(io.BytesIO(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames)


def facts(row):
    frames = decoded(row["video"]["bytes"])
    return {
        "clip": row["clip_id"],
        "split": row["split"],
        "phase": row["phase"],
        "seed": row["seed_clip"],
        "friction": row["friction"],
        "states": np.asarray(row["states"]).shape,
        "frames": frames.shape,
        "same": hashlib.sha256(frames.tobytes()).hexdigest() == row["pixels_sha256"],
        "video": hashlib.sha256(row["video"]["bytes"]).hexdigest() == row["video_sha256"],
    }


where = sys.argv[1]
with tempfile.TemporaryDirectory() as cache:
    loaded = load_dataset(where, cache_dir=cache)
    found = {
        "feature": loaded[next(iter(loaded))].features["video"].__class__.__name__,
        "splits": {
            split: [facts(row) for row in rows.cast_column("video", Video(decode=False))]
            for split, rows in loaded.items()
        },
    }
    split = next(iter(loaded))
    stream = load_dataset(where, split=split, streaming=True).cast_column("video", Video(decode=False))
    found["streamed"] = [facts(row)["same"] for row in stream]
    table = load_dataset(where, "metadata", cache_dir=cache)["train"]
    found["metadata"] = {"rows": list(table["clip_id"]), "columns": table.column_names}
print(json.dumps(found))
