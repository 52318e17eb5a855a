"""Read an export with webdataset, and with `datasets` as a whole folder and file by file."""

import hashlib
import io
import json
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import webdataset
from datasets import Video, load_dataset


def sha256(video):
    with av.open(io.BytesIO(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return hashlib.sha256(np.stack(frames).tobytes()).hexdigest()


folder = Path(sys.argv[1])
tars = sorted(map(str, folder.glob("data/*.tar")))
clips = []
for clip in webdataset.WebDataset(tars, shardshuffle=False).decode():
    row = clip["json"]
    clips.append(
        {
            "clip": clip["__key__"],
            "members": sorted(name for name in clip if not name.startswith("__")),
            "same": sha256(clip["mp4"]) == row["pixels_sha256"],
            "friction": row["friction"],
            "states": clip["states.npy"].tolist(),
        }
    )
with tempfile.TemporaryDirectory() as cache:
    whole = load_dataset(sys.argv[1], cache_dir=cache)
    splits = {split: rows["__key__"][:] for split, rows in whole.items()}
    one = load_dataset("webdataset", data_files=tars[:1], split="train", cache_dir=cache)
    first = one.cast_column("mp4", Video(decode=False))[0]
print(
    json.dumps(
        {
            "clips": clips,
            "splits": splits,
            "kind": one.features["mp4"].__class__.__name__,
            "same": sha256(first["mp4"]["bytes"]) == first["json"]["pixels_sha256"],
        }
    )
)
