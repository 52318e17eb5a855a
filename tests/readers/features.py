"""Read the features of an export with safetensors."""

import json
import sys
from pathlib import Path

from safetensors.numpy import load_file

folder = Path(sys.argv[1])
index = json.loads((folder / "index.json").read_text())
files = {name: load_file(folder / name) for name in set(index["weight_map"].values())}
tensors = {clip: files[name][clip] for clip, name in index["weight_map"].items()}
print(json.dumps({clip: [str(each.dtype), each.tolist()] for clip, each in tensors.items()}))
