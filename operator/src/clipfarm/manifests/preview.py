"""All objects that a run becomes, for people to read."""

import yaml

from clipfarm.manifests import encoder, export, job, report, run_files, storage
from clipfarm.manifests.common import Images, Manifest, Owner
from clipfarm.run import Run
from clipfarm.yaml_writing import Writer

OWNER = Owner("default", "00000000-0000-0000-0000-000000000000", {})
"""The API server gives each run its own UID."""
WORKERS = 4
"""Where the run does not say: in a cluster that depends on the nodes."""


def objects(run: Run, images: Images | None = None) -> list[Manifest]:
    """Return the objects in the order in which the operator makes them, whole."""
    images = images or Images()
    claim = storage.claim(run, OWNER)
    workers = run.spec.workers or WORKERS
    made = [claim] if claim else []
    if run.spec.source is None:
        made += [run_files.config_map(run, OWNER), job.job(run, OWNER, images, workers, workers)]
    if run.spec.encode.enabled:
        made.append(encoder.deployment(run, OWNER, images, run.spec.encode.replicas))
    if run.spec.storage is not None:
        made.append(report.job(run, OWNER, images, {}, ""))
        if run.spec.export is not None:
            made.append(export.job(run, OWNER, images))
    return made


def as_yaml(run: Run) -> str:
    """Return them as one text."""
    return yaml.dump_all(objects(run), Dumper=Writer, sort_keys=False, width=110)
