"""Read an export with lerobot's own data set, at single frames, with times around them, and with fewer episodes."""

import hashlib
import json
import sys

import numpy as np
import torch
from datasets import load_dataset
from lerobot.datasets.lerobot_dataset import LeRobotDataset

CAMERA = "observation.images.camera"
where = sys.argv[1]


def frames(clips):
    """Return the SHA-256 of the frames of each episode."""
    found = {}
    for number in range(clips.num_episodes):
        episode = clips.meta.episodes[number]
        digest = hashlib.sha256()
        for i in range(episode["dataset_from_index"], episode["dataset_to_index"]):
            picture = clips[i][CAMERA] * 255
            digest.update(np.ascontiguousarray(picture.round().to(torch.uint8).permute(1, 2, 0).numpy()).tobytes())
        found[episode["clip_id"]] = digest.hexdigest()
    return found


clips = LeRobotDataset("someone/clips", root=where)
around = {CAMERA: [-1 / clips.fps, 0.0, 2 / clips.fps], "observation.state": [-1 / clips.fps, 0.0]}
timed = LeRobotDataset("someone/clips", root=where, delta_timestamps=around)
length = clips.meta.episodes[0]["length"]
inner, first = timed[5], timed[length]  # the first frame of the second episode
some = LeRobotDataset("someone/clips", root=where, episodes=[3])
# The other format, decoded by `datasets` itself, which takes torchcodec for it.
row = load_dataset(sys.argv[2], split="A1")[0]
decoded = row["video"][:].permute(0, 2, 3, 1).contiguous().numpy()
batch = next(iter(torch.utils.data.DataLoader(timed, batch_size=4)))
print(
    json.dumps(
        {
            "frames": frames(clips),
            "episodes": clips.num_episodes,
            "decoded": hashlib.sha256(decoded.tobytes()).hexdigest() == row["pixels_sha256"],
            "task": clips[0]["task"],
            "splits": clips.meta.info["splits"],
            "friction": [clips[i]["physics.friction"].item() for i in range(0, len(clips), length)],
            "state": clips[7]["observation.state"].tolist(),
            "positions": clips[7]["physics.object_trajectory_positions"].tolist(),
            "inner": [bool((inner[CAMERA][i] == clips[5 + d][CAMERA]).all()) for i, d in enumerate((-1, 0, 2))],
            "padded": first[CAMERA + "_is_pad"].tolist(),
            "some": [some.num_episodes, len(some), some[0]["episode_index"].item()],
            "batch": list(batch[CAMERA].shape),
            "stats": {name: [each.tolist() for each in (of["mean"], of["std"], of["min"], of["max"], of["count"])]
                      for name, of in clips.meta.stats.items()},
        }
    )
)  # fmt: skip
