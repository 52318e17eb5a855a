"""Runs with one mistake each, and the one line that answers it; the API server has to name the same field."""

from typing import Any

from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.laws import FORMS
from clipfarm_contract.text import any_of

GOOD = """
apiVersion: clipfarm.dev/v1alpha1
kind: BenchmarkRun
metadata: {name: friction}
spec:
  seed: 42
  clips: {start: 0, end: 29}
  experiment:
    fps: 30
    frames: 32
    phases:
    - {name: A, clips: {start: 0, end: 9}, friction: {min: 0.5, max: 0.9}, mass: {min: 0.5, max: 3}}
    - {name: B, clips: {start: 10, end: 29}, friction: {min: 0.01, max: 0.15}, mass: {min: 1, max: 1}}
  encode: {weights: {source: random}}
"""
VIDEOS = {"videos": {"folder": "lab"}}
OF_VIDEOS: dict[str, Any] = {"source": VIDEOS, "encode": {"weights": {"source": "random"}}}
"""The ``spec`` of a run of videos."""
PUSH = [factor.name for factor in EXPERIMENTS["push"].factors if not factor.is_object]
FPS = "expected a divisor of 240, the rate of the physics, such as"

# (what to change, the value; the one line that answers it)
BAD = [
    ("spec.clips.end", -1, "spec.clips.end: found -1, expected 0 or more"),
    ("spec.clips", {"start": 9, "end": 3}, "spec.clips.end: found 3, expected start (9) or more"),
    ("spec.clips.end", 30, "spec.experiment.phases: no phase holds clip 30, expected each clip in one phase"),
    ("spec.clips.end", True, "spec.clips.end: found true, expected a whole number"),
    ("spec.clips.end", None, "spec.clips.end: missing"),
    ("spec.source", VIDEOS, "spec.source: expected either experiment or source, found both"),
    ("spec", {"encode": {"enabled": False}, "clips": {"start": 0, "end": 9}}, "spec.experiment: missing, expected"
     " experiment or source"),
    ("spec", OF_VIDEOS | {"clips": {"start": 0, "end": 9}}, "spec.clips: expected only with an experiment; videos are"
     " cut into as many as they give"),
    ("spec", OF_VIDEOS | {"workers": 2}, "spec.workers: expected only with an experiment; encode.replicas is the number"
     " of encoders"),
    ("spec", OF_VIDEOS | {"export": {"format": "hf", "license": "cc0-1.0", "destination": "x"}}, "spec.export: expected"
     " only with an experiment; clips of videos are not exported"),
    ("spec", OF_VIDEOS | {"suspend": True}, "spec.suspend: expected only with an experiment"),
    ("spec", OF_VIDEOS | {"encode": {"enabled": False}}, "spec.encode.enabled: found false, expected true with source:"
     " nothing else is done with videos"),
    ("spec", OF_VIDEOS | {"source": {}}, "spec.source.videos: missing"),
    ("spec", OF_VIDEOS | {"source": {"videos": {}}}, "spec.source.videos.folder: missing"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "frames": 0}}}, "spec.source.videos.frames: found 0,"
     " expected 1 or more"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "frameRate": 0}}}, "spec.source.videos.frameRate: found"
     " 0, expected more than 0"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "fps": 8}}}, "spec.source.videos.fps: unknown field,"
     " expected one of folder, claimName, frames, stride, frameRate"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "/x", "claimName": "v"}}}, "spec.source.videos.folder: found"
     " /x, expected a path from the root of the claim, without / before it"),
    ("spec.seed", "forty-two", 'spec.seed: found "forty-two", expected a whole number'),
    ("spec.seed", -1, "spec.seed: found -1, expected 0 or more"),
    ("spec.workers", 0, "spec.workers: found 0, expected 1 or more"),
    ("spec.priority", 0, "spec.priority: found 0, expected 1 or more"),
    ("spec.workers", 2.5, "spec.workers: found 2.5, expected a whole number"),
    ("spec.experiment.fps", 25, f"spec.experiment.fps: found 25, {FPS} 24"),
    ("spec.experiment.fps", 29, f"spec.experiment.fps: found 29, {FPS} 30"),
    ("spec.experiment.frames", 31, "spec.experiment.frames: found 31, expected a multiple of 2, the frames that"
     " vjepa2_vitl16 takes at a time"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "frames": 5}}}, "spec.source.videos.frames: found 5,"
     " expected a multiple of 2, the frames that vjepa2_vitl16 takes at a time"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "frames": 5}}, "encode": {"weights": {"source":
     "random"}, "model": "timm:a", "cropSize": 224, "features": [{"name": "a"}, {"name": "b", "model":
     "vjepa2_tiny16"}]}}, "spec.source.videos.frames: found 5, expected a multiple of 2, the frames that vjepa2_tiny16"
     " takes at a time"),
    ("spec.experiment.frames", 2, "spec.experiment.frames: found 2, expected 4 or more"),
    ("spec.experiment.resolution", 8, "spec.experiment.resolution: found 8, expected 16 or more"),
    ("spec.experiment.resolutoin", 64, "spec.experiment.resolutoin: unknown field (did you mean resolution?)"),
    ("spec.experiment.layers", [], "spec.experiment.layers: found nothing, expected at least one"),
    ("spec.experiment.layers", ["rgb", "heat"], "spec.experiment.layers[1]: found \"heat\", expected 'rgb',"
     " 'segmentation', 'flow', 'depth', 'normal' or 'object_coordinates'"),
    ("spec.experiment.layers", ["flow"], 'spec.experiment.layers: found ["flow"], expected rgb among them: the encoder'
     " and the checks look at it"),
    ("spec.experiment.objects", ["cube", "teapot"], 'spec.experiment.objects[1]: found "teapot", expected cube, sphere,'
     " cylinder, cone or torus, or an id with assets"),
    ("spec.experiment.assets", {}, "spec.experiment.assets.manifest: missing"),
    ("spec.experiment.assets", {"manifest": "a.json", "manifes": 1}, "spec.experiment.assets.manifes: unknown field"
     " (did you mean manifest?)"),
    ("spec.experiment.assets", {"manifest": "a.json", "sha256": "12"}, 'spec.experiment.assets.sha256: found "12",'
     " expected 64 hexadecimal digits"),
    ("spec.render", {"background": "blue"}, "spec.render.background: found \"blue\", expected 'cached' or 'full'"),
    ("spec.experiment.factors", {"true": {"value": 0}}, "spec.experiment.factors.true: found true, expected a factor;"
     ' write "y" with its quotes, y alone is true in YAML'),
    ("spec.experiment.twins", {"of": 2, "vary": ["x", True]}, "spec.experiment.twins.vary[1]: found true, expected a"
     " string; without quotes, y, yes and on are true in YAML"),
    ("spec.experiment.exclude", [{"objects": ["cone", "Cube"]}], 'spec.experiment.exclude[0].objects[1]: found "Cube",'
     " expected cube, sphere, cylinder, cone or torus, or an id with assets"),
    ("spec.experiment.phases.1.exclude", [{"objects": ["cones"]}], 'spec.experiment.phases[1].exclude[0].objects[0]:'
     ' found "cones", expected cube, sphere, cylinder, cone or torus, or an id with assets'),
    ("spec.experiment.factors", {"pushes": {"log": {"min": 1, "max": 4}}}, "spec.experiment.factors.pushes: found 1-4"
     " (logarithmic), expected whole numbers"),
    ("spec.experiment.name", "pull", f'spec.experiment.name: found "pull", expected {any_of(EXPERIMENTS)}, or another'
     " with module"),
    ("spec.experiment.name", "Drop", 'spec.experiment.name: found "Drop", expected lower-case letters, digits and'
     " dashes, and first a letter"),
    ("spec.experiment.module", {"source": "x = 1"}, 'spec.experiment.name: found "push", expected the name that the'
     " module declares, which is not built in"),
    ("spec.experiment.module", {}, "spec.experiment.module.source: missing, expected the module's text, or file in a"
     " run file on this machine"),
    ("spec.experiment.module", {"source": ""}, "spec.experiment.module.source: found nothing, expected a text"),
    ("spec.experiment.module", {"source": "x", "file": "slide.py"},
     "spec.experiment.module.file: found beside source, expected one of the two"),
    ("spec.experiment.module", "slide.py", 'spec.experiment.module: found "slide.py", expected an object, as'
     " {file: ...} or {source: ...}"),
    ("spec.experiment.impulse", {"min": 12, "max": 13, "atFrame": 31},
     "spec.experiment.impulse.atFrame: found 31, expected 30 or less, so that one of the 32 frames shows motion"),
    ("spec.experiment.factors", {"sice": {"value": 1}},
     "spec.experiment.factors.sice: unknown factor of push (did you mean size?)"),
    ("spec.experiment.factors", {"object": {"value": 1}}, "spec.experiment.factors.object: unknown factor of push,"
     f" expected {any_of(PUSH)}"),
    ("spec.experiment.factors", {"size": {"min": 0.3, "max": 5}},
     "spec.experiment.factors.size: found 0.3 to 5, expected 0.3 to 1.5 m, or a renderer of your own (render.command)"),
    ("spec.experiment.factors", {"size": {"min": 0.2, "max": 1}},
     "spec.experiment.factors.size: found 0.2 to 1, expected 0.3 to 1.5 m"),
    ("spec.experiment.factors", {"size": {"value": 0}},
     "spec.experiment.factors.size: found 0, expected 0.3 to 1.5 m"),
    ("spec.experiment.factors", {"size": {"log": {"min": 0.1, "max": 1}}},
     "spec.experiment.factors.size: found 0.1 to 1, expected 0.3 to 1.5 m"),
    ("spec.experiment.factors", {"size": {"values": [1, 0.1]}},
     "spec.experiment.factors.size: found 0.1 to 1, expected 0.3 to 1.5 m"),
    ("spec.experiment.factors", {"size": {"log": {"min": 0, "max": 1}}},
     "spec.experiment.factors.size.log.min: found 0, expected more than 0"),
    ("spec.experiment.factors", {"size": {"log": {"min": 2, "max": 1}}},
     "spec.experiment.factors.size.log.max: found 1, expected min (2) or more"),
    ("spec.experiment.factors", {"size": {"min": 1.2, "max": 1.1}},
     "spec.experiment.factors.size.max: found 1.1, expected min (1.2) or more"),
    ("spec.experiment.factors", {"size": {"min": 1.2}}, f"spec.experiment.factors.size.min: expected one of {FORMS}"),
    ("spec.experiment.factors", {"size": {}}, f"spec.experiment.factors.size.min: expected one of {FORMS}"),
    ("spec.experiment.factors", {"size": {"value": 1, "min": 1, "max": 2}},
     f"spec.experiment.factors.size.min: expected one of {FORMS}"),
    ("spec.experiment.factors", {"size": 1.2}, f"spec.experiment.factors.size: found 1.2, expected one of {FORMS}"),
    ("spec.experiment.views", [{"name": "side", "camera": {"azimuth": 200}}],
     "spec.experiment.views[0].camera.azimuth: found 200, expected 180 or less"),
    ("spec.experiment.views", [{"name": "side", "layers": ["depth"]}],
     'spec.experiment.views[0].layers: found ["depth"], expected rgb among them: the encoder and the checks look at'
     " it"),
    ("spec.experiment.factors", {"floor": {"names": ["planks", "ice"]}},
     'spec.experiment.factors.floor.names[1]: found "ice", expected tiles, plain, checker or planks'),
    ("spec.experiment.factors", {"floor": {"values": ["planks"]}},
     'spec.experiment.factors.floor.values[0]: found "planks", expected a number; names are given as names: [...]'),
    ("spec.experiment.factors", {"floor": {"values": [1, 2]}},
     "spec.experiment.factors.floor: found 1 or 2, expected names: tiles, plain, checker or planks"),
    ("spec.experiment.factors", {"size": {"names": ["planks"]}},
     "spec.experiment.factors.size: found names, expected 0.3 to 1.5 m"),
    ("spec.experiment.factors", {"size": {"vale": 1.2}},
     "spec.experiment.factors.size.vale: unknown field (did you mean value?)"),
    ("spec.experiment.factors", {"size": {"values": []}},
     "spec.experiment.factors.size.values: found nothing, expected at least one"),
    ("spec.experiment.factors", {"atFrame": {"value": 1.5}},
     "spec.experiment.factors.atFrame: found 1.5, expected whole numbers"),
    ("spec.experiment.factors", {"atFrame": {"value": 31}}, "spec.experiment.factors.atFrame: found 31, expected 30 or"
     " less, so that 1 of the 32 frames comes after it"),
    ("spec.experiment.phases.1.factors", {"mass": {"value": 1}},
     "spec.experiment.phases[1].factors.mass: found beside mass, expected one of the two"),
    ("spec.experiment.phases.1.factors", {"x": {"min": -9, "max": 1}},
     "spec.experiment.phases[1].factors.x: found -9 to 1, expected -3 to 3 m"),
    ("spec.experiment.phases.1.objects", ["egg"], 'spec.experiment.phases[1].objects[0]: found "egg", expected cube,'
     " sphere, cylinder, cone or torus, or an id with assets"),
    ("spec.experiment.twins", {"of": 1, "vary": ["size"]}, "spec.experiment.twins.of: found 1, expected 2 or more"),
    ("spec.experiment.twins", {"of": 2, "vary": []},
     "spec.experiment.twins.vary: found nothing, expected at least one"),
    ("spec.experiment.twins", {"of": 2, "vary": ["sice"]}, "spec.experiment.twins.vary: found"),
    ("spec.experiment.twins", {"of": 3, "vary": ["size"]},
     "spec.experiment.phases[0].clips: found 0 to 9, expected whole groups of 3 clips, such as 0 to 11"),
    ("spec.experiment.violations", {"kinds": ["levitate"], "at": {"min": 2, "max": 4}},
     "spec.experiment.violations.kinds[0]: found \"levitate\", expected 'teleport', 'vanish', 'shape', 'colour',"
     " 'pass-through', 'perpetual' or 'no-reaction'"),
    ("spec.experiment.violations", {"kinds": ["teleport"], "at": {"min": 4, "max": 2}},
     "spec.experiment.violations.at.max: found 2, expected min (4) or more"),
    ("spec.experiment.violations", {"kinds": ["teleport"], "at": {"min": 2, "max": 32}},
     "spec.experiment.violations.at: found 2 to 32, expected a range from 1 to 31, the last of the 32 frames"),
    ("spec.experiment.violations", {"kinds": ["no-reaction"], "at": {"min": 2, "max": 4}},
     'spec.experiment.violations.kinds: found "no-reaction", which push does not have; collide does'),
    ("spec.experiment.phases.1.exclude", [{}],
     "spec.experiment.phases[1].exclude[0].objects: expected objects or factors"),
    ("spec.experiment.phases.1.exclude", [{"factors": {"size": {}}}],
     "spec.experiment.phases[1].exclude[0].factors.size.min: expected min or max or both, values, value, or names"),
    ("spec.experiment.phases.1.exclude", [{"factors": {"sice": {"value": 1}}}],
     "spec.experiment.phases[1].exclude[0].factors.sice: unknown factor of push (did you mean size?)"),
    ("spec.experiment.phases.1.split", "holdout",
     "spec.experiment.phases[1].split: found \"holdout\", expected 'train', 'val' or 'test'"),
    ("spec.experiment.phases.1.eval", 20,
     "spec.experiment.phases[1].eval: found 20, expected 19 or less, so that clips are left"),
    ("spec.experiment.impulse", {"min": 13, "max": 12},
     "spec.experiment.impulse.max: found 12, expected min (13) or more"),
    ("spec.experiment.phases.0.friction.min", -1,
     "spec.experiment.phases[0].friction.min: found -1, expected 0 or more"),
    ("spec.experiment.phases.0.friction.max", 0.1,
     "spec.experiment.phases[0].friction.max: found 0.1, expected min (0.5) or more"),
    ("spec.experiment.phases.1.mass.min", 0, "spec.experiment.phases[1].mass.min: found 0, expected more than 0"),
    ("spec.experiment.phases.1.clips.start", 11,
     "spec.experiment.phases: no phase holds clip 10, expected each clip in one phase"),
    ("spec.experiment.phases.1.clips.start", 9,
     "spec.experiment.phases: 'A' (0-9) and 'B' (9-29) overlap, expected each clip in one phase"),
    ("spec.experiment.phases.1.name", "A", "spec.experiment.phases: found the name 'A' twice, expected each once"),
    ("spec.experiment.phases", [], "spec.experiment.phases: found nothing, expected at least one"),
    ("spec.experiment.phases", 3, "spec.experiment.phases: found 3, expected a list"),
    ("spec.render", {"device": "tpu"}, "spec.render.device: found \"tpu\", expected 'cpu', 'gpu', 'cuda' or 'optix'"),
    ("spec.render", {"threads": 0}, "spec.render.threads: found 0, expected 1 or more"),
    ("spec.render", {"timeout": "0s"}, "spec.render.timeout: found \"0s\", expected more than 0"),
    ("spec.vram", {"low": 0.9}, "spec.vram.low: found 0.9, expected less than high (0.85)"),
    ("spec.vram", {"high": 85}, "spec.vram.high: found 85, expected 1 or less"),
    ("spec.vram", {"checkInterval": "1m"},
     "spec.vram.staleAfter: found 60s, expected more than checkInterval (60s)"),
    ("spec.vram", {"staleAfter": "1d", "checkInterval": "1d"},
     "spec.vram.staleAfter: found 86400s, expected more than checkInterval (86400s)"),
    ("spec.vram", {"staleAfter": "1d", "checkInterval": "25h"},
     "spec.vram.staleAfter: found 86400s, expected more than checkInterval (90000s)"),
    ("spec.vram", {"heldWarningAfter": "0s"}, 'spec.vram.heldWarningAfter: found "0s", expected more than 0'),
    ("spec.vram", {"perClip": 2}, "spec.vram.perClip: found 2, expected a size such as 2Gi or 500Mi"),
    ("spec.vram", {"enabled": "yes please"}, 'spec.vram.enabled: found "yes please", expected true or false'),
    ("spec.retry", {"delay": 30}, "spec.retry.delay: found 30, expected a duration such as 30s, 5m or 7d"),
    ("spec.retry", {"delay": "soon"}, 'spec.retry.delay: found "soon", expected a duration such as 30s, 5m or 7d'),
    ("spec.experiment.phases.1.friction.max", 1.5, "spec.experiment.phases[1].friction: found 0.01 to 1.5,"
     " expected 0 to 1, or a renderer of your own (render.command)"),
    ("spec.render", {"threads": 2000}, "spec.render.threads: found 2000, expected 1024 or less"),
    ("spec.render", {"requireIdenticalNodes": "cpu"}, "spec.render.requireIdenticalNodes: found \"cpu\", expected"
     " true or false"),
    ("spec.render", {"keepPods": "none"}, "spec.render.keepPods: found \"none\", expected 'failed' or 'all'"),
    ("spec.render", {"clipsPerPod": 10**6}, "spec.render.clipsPerPod: found 1000000, expected 100000 or less"),
    ("spec.retry", {"limit": -1}, "spec.retry.limit: found -1, expected 0 or more"),
    ("spec.retry", {"stopAfter": -1}, "spec.retry.stopAfter: found -1, expected 0 or more"),
    ("spec.retry", {"stopAfter": 20_000}, "spec.retry.stopAfter: found 20000, expected 10000 or less"),
    ("spec.retry", {"stopAfter": "never"}, 'spec.retry.stopAfter: found "never", expected a whole number'),
    ("spec.encode", {"model": "vjepa2_vitl16"},
     "spec.encode.weights: missing, expected {source: FILE or FOLDER or random}, or encode.enabled: false"),
    ("spec.encode.weights", {"source": "https://example.org/vitl.pt"},
     "spec.encode.weights.sha256: missing, expected the SHA-256 of the file at the address"),
    ("spec.encode.weights", {"source": "https://example.org/vitl.pt", "sha256": "abc"},
     'spec.encode.weights.sha256: found "abc", expected 64 hexadecimal digits'),
    ("spec.encode.weights", {"source": "facebook/vjepa2-vitl-fpc64-256", "revision": "main"},
     'spec.encode.weights.revision: found "main", expected 40 hexadecimal digits, a commit'),
    ("spec.encode.weights", {"source": "https://example.org/vitl.pt", "sha256": "0" * 64, "revision": "0" * 40},
     "spec.encode.weights.revision: expected only beside an id on Hugging Face"),
    ("spec.encode.cropSize", 250, "spec.encode.cropSize: found 250, expected a multiple of 16, the model's patch size"),
    ("spec.encode.model", "vjepa2_vitl15", 'spec.encode.model: found "vjepa2_vitl15", expected a model such as'
     " vjepa2_vitl16 or timm:vit_small_patch14_dinov2"),
    ("spec.encode.model", "timm:../x", 'spec.encode.model: found "timm:../x", expected a model such as'
     " vjepa2_vitl16 or timm:vit_small_patch14_dinov2"),
    ("spec.encode.cropSize", 1040, "spec.encode.cropSize: found 1040, expected 1024 or less"),
    ("spec.encode.batchSize", 1025, "spec.encode.batchSize: found 1025, expected 1024 or less"),
    ("spec.encode.batchSize", 0, "spec.encode.batchSize: found 0, expected 1 or more"),
    ("spec.encode.replicas", 1001, "spec.encode.replicas: found 1001, expected 1000 or less"),
    ("spec.encode.replicas", 0, "spec.encode.replicas: found 0, expected 1 or more"),
    ("spec.encode.cpu", "0", "spec.encode.cpu: found \"0\", expected more than 0"),
    ("spec.encode.cpu", "2Gi", 'spec.encode.cpu: found "2Gi", expected CPUs such as 2, 0.5 or 500m'),
    ("spec.encode.cpu", 2, "spec.encode.cpu: found 2, expected CPUs such as 2, 0.5 or 500m"),
    ("spec.encode.batch", 4, "spec.encode.batch: unknown field (did you mean batchSize?)"),
    ("spec.encode.features", [{"name": "a", "context": "future"}],
     "spec.encode.features[0].context: found \"future\", expected 'clip', 'frame' or 'prefix'"),
    ("spec.encode.features", [{"context": "frame"}], "spec.encode.features[0].name: missing"),
    ("spec.encode.features", [{"name": "../up"}],
     'spec.encode.features[0].name: found "../up", expected letters, digits, \'_\', \'.\' and \'-\', and first a'
     " letter or digit"),
    ("spec.encode.features", [{"name": "a", "stride": 2}],
     "spec.encode.features[0].stride: expected only with context frame or prefix"),
    ("spec.encode.features", [{"name": "a", "context": "frame", "window": 2}],
     "spec.encode.features[0].window: expected only with context prefix"),
    ("spec.encode.features", [{"name": "a", "context": "frame", "stride": 0}],
     "spec.encode.features[0].stride: found 0, expected 1 or more"),
    ("spec.encode.features", [{"name": "a", "layers": [4, 2]}],
     "spec.encode.features[0].layers: found [4, 2], expected ascending numbers"),
    ("spec.encode.features", [{"name": "a", "layers": [2, 2]}],
     "spec.encode.features[0].layers: found [2, 2], expected ascending numbers"),
    ("spec.encode.features", [{"name": "a"}, {"name": "b", "layers": [8, 25]}],
     "spec.encode.features[1].layers: found 25, expected 1 to 24, the model's"),
    ("spec.encode.features", [{"name": "a", "model": "vjepa2_vith16", "layers": [33]}],
     "spec.encode.features[0].layers: found 33, expected 1 to 32, the model's"),
    ("spec.encode.features", [{"name": "a", "context": "prefix", "stride": 3}],
     "spec.encode.features[0].stride: found 3, expected a multiple of 2, the frames of the model's time step"),
    ("spec.encode.features", [{"name": "a", "context": "prefix", "stride": 34}],
     "spec.encode.features[0].stride: found 34, expected 32 or less, the frames of a clip"),
    ("spec.encode.features", [{"name": "a", "context": "prefix", "stride": 32},
     {"name": "b", "context": "prefix", "stride": 64, "model": "vjepa2_tiny16"}],
     "spec.encode.features[1].stride: found 64, expected 32 or less, the frames of a clip"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "frames": 5}}, "encode": {"weights": {"source":
     "random"}, "features": [{"name": "a", "context": "prefix", "stride": 6}]}},
     "spec.encode.features[0].stride: found 6, expected 5 or less, the frames of a clip"),
    ("spec", OF_VIDEOS | {"source": {"videos": {"folder": "x", "frames": 1}}, "encode": {"weights": {"source":
     "random"}, "features": [{"name": "a", "context": "prefix"}]}}, "spec.source.videos.frames: found 1, expected 2 or"
     " more, the frames that vjepa2_vitl16 takes at a time"),
    ("spec.encode.features", [{"name": "a", "cropSize": 250}],
     "spec.encode.features[0].cropSize: found 250, expected a multiple of 16, the model's patch size"),
    ("spec.export", {"format": "zip", "license": "mit"},
     "spec.export.format: found \"zip\", expected 'hf', 'webdataset' or 'lerobot'"),
    ("spec.export", {"format": "hf"}, "spec.export.license: missing"),
    *[("spec.export", {"format": "hf", "license": "mit", "destination": place},
       f'spec.export.destination: found "{place}",'
       " expected a folder such as exports/friction, or an address such as s3://bucket/friction")
      for place in ("/exports", "../a", "a/../b", ".clipfarm", "clip_00001/a", "a b", "file:///tmp", "s3://", "s3:///a",
                    "local://tmp", "memory://a")],
    ("spec.export", {"format": "hf", "license": "mit", "secretName": "root-password"},
     'spec.export.secretName: found "root-password", expected a name that begins with clipfarm-export-'),
    ("spec.export", {"format": "lerobot", "license": "mit", "video": "png"},
     "spec.export.video: found png, expected lossless or h264 with format lerobot"),
    ("spec.export", {"format": "lerobot", "license": "mit", "layers": ["depth"]},
     "spec.export.layers: expected none with format lerobot"),
    ("spec.export", {"format": "hf", "license": "mit", "layers": ["depth"]},
     'spec.export.layers: found "depth", expected none: the experiment has no layers but rgb'),
    ("spec.export", {"format": "hf", "license": "mit", "layers": ["rgb"]},
     'spec.export.layers: found "rgb", expected none: the experiment has no layers but rgb'),
    ("spec.export", {"format": "hf", "license": "mit", "features": ["a"]},
     'spec.export.features: found "a", expected vjepa2_vitl16'),
    ("spec.export", {"format": "hf", "license": "mit", "memory": "0"},
     'spec.export.memory: found "0", expected more than 0'),
    ("spec.encode.features", [{"name": "a"}, {"name": "a", "pool": "space"}],
     'spec.encode.features: two sets have the name "a", expected one name for each'),
    ("spec.encode.features", [{"name": f"s{i}"} for i in range(17)],
     "spec.encode.features: found 17 entries, expected 16 or fewer"),
    ("spec.storage", {}, "spec.storage.claimName: expected either claimName or size"),
    ("spec.storage", {"claimName": "a", "size": "1Gi"}, "spec.storage.claimName: expected either claimName or size"),
    ("metadata.name", "Friction!", 'metadata.name: found "Friction!", expected lower-case letters, digits and dashes,'
     " at most 52"),
    ("metadata.name", "with.a.dot", 'metadata.name: found "with.a.dot", expected lower-case letters, digits and dashes,'
     " at most 52"),
    ("metadata.name", "dash-", 'metadata.name: found "dash-", expected lower-case letters, digits and dashes,'
     " at most 52"),
    ("metadata.name", "a" * 53, "metadata.name: found"),
    ("metadata.labels", {"a": 1}, "metadata.labels.a: found 1, expected a string"),
    ("apiVersion", "clipfarm.dev/v9", "apiVersion: found \"clipfarm.dev/v9\", expected 'clipfarm.dev/v1alpha1'"),
    ("spec.clips.end", 10**9, "spec.clips.end: found 1000000000, expected 9999999 or less"),
    ("spec.workers", 1_000_000, "spec.workers: found 1000000, expected 10000 or less"),
    ("spec.experiment.samples_per_pixel", 4,
     "spec.experiment.samples_per_pixel: unknown field (did you mean samplesPerPixel?)"),
    ("spec.render", {"timeout": {"a": 1}},
     "spec.render.timeout: found an object, expected a duration such as 30s, 5m or 7d"),
    ("spec.render", {"timeout": "9" * 400 + "s"}, "spec.render.timeout: found"),
    ("spec.render", {"timeout": "nan"},
     'spec.render.timeout: found "nan", expected a duration such as 30s, 5m or 7d'),
    ("spec.render", {"timeout": "10000d"},
     'spec.render.timeout: found "10000d", expected 9999d or less'),
    ("spec.retry", {"delay": ""}, 'spec.retry.delay: found "", expected a duration such as 30s, 5m or 7d'),
    ("spec.render", {"command": ["a\0b"]},
     'spec.render.command[0]: found "a\\u0000b", expected a text without NUL characters'),
    ("spec.render", {"command": ["python3", 3]}, "spec.render.command[1]: found 3, expected a string"),
    ("spec.render", {"command": "python3 render.py"},
     'spec.render.command: found "python3 render.py", expected a list'),
    ("spec.render", {"command": ["a"] * 65}, "spec.render.command: found 65 entries, expected 64 or fewer"),
    ("spec.render", {"command": ["a" * 4097]},
     "spec.render.command[0]: found 4097 characters, expected 4096 or fewer"),
    ("spec.render", {"image": ""}, "spec.render.image: found nothing, expected a text"),
    ("spec.encode", {"weights": {"source": "a\0b"}},
     'spec.encode.weights.source: found "a\\u0000b", expected a text without NUL characters'),
    ("spec.experiment.assets", {"manifest": "a\0b"},
     'spec.experiment.assets.manifest: found "a\\u0000b", expected a text without NUL characters'),
    ("spec.render", {"pod": {"labels": {f"l{i}": "x" for i in range(65)}}},
     "spec.render.pod.labels: found 65 entries, expected 64 or fewer"),
    ("spec.render", {"pod": {"nodeSelector": ["a"]}}, 'spec.render.pod.nodeSelector: found ["a"], expected an object'),
    ("spec.render", {"pod": {"nodeSelector": {"a": 1}}},
     "spec.render.pod.nodeSelector.a: found 1, expected a string"),
    ("spec.render", {"timeout": "\uff13\uff10s"}, "spec.render.timeout: found"),
    ("spec.vram", {"perClip": "9" * 400 + "Gi"}, "spec.vram.perClip: found"),
    ("spec", 7, "spec: found 7, expected an object"),
    ("specs", {}, "specs: unknown field (did you mean spec?)"),
]  # fmt: skip


def put(document: dict[str, Any], field: str, value: Any) -> None:
    """Set a field, named as ``spec.experiment.phases.0.name``; objects on the way are made where there are none."""
    place: Any = document
    names = field.split(".")
    for name in names[:-1]:
        place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
    place[int(names[-1]) if isinstance(place, list) else names[-1]] = value
