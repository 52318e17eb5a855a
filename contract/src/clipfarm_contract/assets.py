"""A run's asset manifest: whether it is there and lists what the run shows, asked before anything starts."""

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from clipfarm_contract import regular
from clipfarm_contract.experiments.scene import Assets
from clipfarm_contract.fields import ContractError

MOST_MANIFEST_BYTES = 2**30


def problem(assets: Assets, wanted: Sequence[str]) -> str | None:
    """Return what is wrong with a manifest, or with the assets that are wanted of it; None if nothing is.

    The archives are not opened: the clips that show them do that.
    """
    try:
        text = regular.read(Path(assets.manifest), f"assets.manifest: {assets.manifest}", MOST_MANIFEST_BYTES)
    except OSError as error:
        return f"assets.manifest: {assets.manifest} cannot be read: {error.strerror}"
    except ContractError as error:
        return str(error)
    if assets.sha256 and hashlib.sha256(text).hexdigest() != assets.sha256:
        return f"assets.sha256: {assets.manifest} is another file, of sha256 {hashlib.sha256(text).hexdigest()}"
    try:
        entries = dict(json.loads(text)["assets"])
        kinds = {asset_id: entries[asset_id]["asset_type"] for asset_id in wanted if asset_id in entries}
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"assets.manifest: {assets.manifest} is no manifest of Kubric's"
    for asset_id in wanted:
        if asset_id not in kinds:
            close = difflib.get_close_matches(asset_id, entries, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            return f'objects: found "{asset_id}", which {assets.manifest} does not list{hint}'
        if kinds[asset_id] != "FileBasedObject":
            return f'objects: "{asset_id}" is a {kinds[asset_id]}, expected a FileBasedObject'
    return None
