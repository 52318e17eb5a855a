"""``croissant.json``: the export as MLCommons' Croissant 1.0 describes data sets, with its part on responsible AI.

Conferences ask for it. ``mlcroissant validate --jsonld croissant.json`` checks it, in the tests, too.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from clipfarm_export import tables
from clipfarm_export.job import Job
from clipfarm_export.licences import url
from clipfarm_export.rows import Table

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.float64(): "sc:Float",
    pa.bool_(): "sc:Boolean",
    pa.list_(pa.float64()): "sc:Float",
    pa.list_(pa.int64()): "sc:Integer",
}
_MIME = {
    ".parquet": "application/x-parquet",  # the name that mlcroissant reads; the registered one it does not
    ".tar": "application/x-tar",
    ".safetensors": "application/octet-stream",
    ".mp4": "video/mp4",
}
_SAID = {
    "clip_id": "Name of the clip.",
    "index": "Number of the clip in its run.",
    "phase": "Phase of the experiment, which has its own ranges of the factors.",
    "split": "The phase under the name that readers use for a split.",
    "num_frames": "Frames of the clip.",
    "fps": "Frames a second.",
    "seed_run": "Seed of the run, as text.",
    "seed_clip": "Seed of the clip, as text.",
    "recipe": "All that the clip was made from, JSON.",
    "video_sha256": "SHA-256 of the video's file.",
    "pixels_sha256": "SHA-256 of the RGB values of all frames, row by row.",
    "actions_shape": "Shape of the clip's actions.",
    "states_shape": "Shape of the clip's states: (frames, bodies, values) if there are several bodies.",
    "camera": "Intrinsics and pose of the camera, JSON.",
    "versions": "Versions of the programs that made the clip, JSON.",
}


def document(job: Job, report: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of ``croissant.json``.

    Args:
        job: the export.
        report: the content of ``export.json``.
        files: SHA-256 and size of each file.
    """
    name = job.options.name
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": name,
        "description": description(job, report),
        "license": url(job.options.license),
        "version": "1.0.0",
        "isLiveDataset": False,
        **_responsible(job, report),
        "distribution": [*_distribution(files)],
        "recordSet": [_record_set("clips", {"fileObject": {"@id": tables.CLIPS}}, tables.light(job))],
    }


def description(job: Job, report: Mapping[str, Any]) -> str:
    """Return what the data set is, in a few sentences."""
    scene = report["run"]["experiment"]
    experiment, side = scene.get("name", "of its own"), scene["resolution"]
    return (
        f'{report["clips"]} simulated clips of the experiment "{experiment}", {scene["frames"]} frames of {side} x'
        f" {side} pixels at {scene['fps']} frames a second, with the exact value of every factor. Made by clipfarm"
        f" {report['versions']['clipfarm']} from the seed {report['run']['seed']}."
    )


def _distribution(files: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the files: those of metadata one by one, with their hashes, and the many others as sets."""
    found: list[dict[str, Any]] = []
    sets: dict[tuple[str, str], None] = {}
    for name in sorted(files):
        folder, _, rest = name.rpartition("/")
        ending = f".{rest.rpartition('.')[2]}"
        if ending not in _MIME:
            continue
        if folder == "metadata":
            found.append(
                {
                    "@type": "cr:FileObject",
                    "@id": name,
                    "name": name,
                    "contentUrl": name,
                    "contentSize": f"{files[name]['size']} B",
                    "encodingFormat": _MIME[ending],
                    "sha256": files[name]["sha256"],
                }
            )
        else:
            sets[folder, ending] = None
    for folder, ending in sets:
        found.append(
            {
                "@type": "cr:FileSet",
                "@id": f"{folder}/*{ending}",
                "name": f"{folder}/*{ending}",
                "description": "Their hashes are in SHA256SUMS.",
                "encodingFormat": _MIME[ending],
                "includes": f"{folder}/*{ending}",
            }
        )
    return found


def _record_set(name: str, source: Mapping[str, Any], table: Table) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "A row a clip: what it was made from, and what is true of it.",
        "key": {"@id": f"{name}/clip_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": _SAID.get(column, f"{column} as ground_truth.json has it; SI units."),
                "dataType": _TYPES[kind],
                "source": {**source, "extract": {"column": column}},
                **({"repeated": True} if pa.types.is_list(kind) else {}),
            }
            for column, kind in table.fields
        ],
    }


def _responsible(job: Job, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part on responsible AI: what is true of every run, for its author to complete."""
    left_out = len(report["leftOut"])
    missing = f"{left_out} entries are listed with their reasons under leftOut in export.json." if left_out else "None."
    return {
        "rai:dataCollection": "Every clip was simulated and rendered; nothing was recorded or collected from people.",
        "rai:dataCollectionType": "Software Collection",
        "rai:dataCollectionMissingData": missing,
        "rai:dataPreprocessingProtocol": [
            "Each clip's files were compared with the hashes that were computed when it was rendered."
        ],
        "rai:dataAnnotationProtocol": "Labels are the values that the simulation used; nothing was annotated.",
        "rai:dataUseCases": ["Training and evaluation of world models and of video encoders on controlled physics."],
        "rai:dataLimitations": [
            "Simulated rigid bodies under one light, seen by one camera; results need not hold for real video."
        ],
        "rai:dataBiases": ["Factors are drawn from the ranges of each phase, which are in export.json."],
        "rai:personalSensitiveInformation": ["None: the clips show geometric objects alone."],
        "rai:dataSocialImpact": "None is known.",
    }
