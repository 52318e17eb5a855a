"""Objects from a Kubric asset manifest: a JSON file on disk, with an archive for each asset.

The format is Kubric's own (``kubric.AssetSource.from_manifest``): an asset of type FileBasedObject names a URDF that
PyBullet loads and a mesh that Blender shows.
"""

import copy
import hashlib
import json
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipfarm_contract import regular
from clipfarm_contract.assets import MOST_MANIFEST_BYTES
from clipfarm_contract.experiments.scene import Assets
from clipfarm_render.job import ClipError
from clipfarm_render.scene.kubric_compat import kb

Array = npt.NDArray[np.float64]


class AssetError(ClipError):
    """A manifest or an asset is missing or makes no sense."""


@dataclass(frozen=True)
class FoundAsset:
    """An asset that has been unpacked."""

    source: kb.AssetSource
    asset_id: str
    bounds: Array
    """(2, 3) lower and upper corner, in the axes of its mesh, unscaled, m."""
    centre_of_mass: Array
    """(3,) in the axes of its mesh, unscaled, m."""
    inertia: tuple[float, float, float]
    """Moments about the mesh's axes through the centre of mass, unscaled, for a mass of 1 kg."""
    described: Mapping[str, Any]

    def create(self, **traits: Any) -> kb.FileBasedObject:
        """Return the asset as an object of Kubric's with the traits given."""
        return self.source.create(self.asset_id, **traits)


@dataclass(frozen=True)
class AssetFiles:
    """Unpacks assets into a scratch folder."""

    scratch: Path

    def open(self, assets: Assets, asset_id: str) -> FoundAsset:
        """Unpack an asset and read what is needed of it.

        Raises:
            AssetError: something of it is missing or makes no sense.
        """
        path = Path(assets.manifest)
        try:
            text = regular.read(path, path.name, MOST_MANIFEST_BYTES)
            manifest = json.loads(text)
            entry = manifest["assets"][asset_id]
            # Kubric writes what it is told of one asset into the entry itself.
            entries = copy.deepcopy(manifest["assets"])
            source = kb.AssetSource(
                name=manifest.get("name", path.stem),
                data_dir=_data_folder(manifest, path),
                assets=entries,
                scratch_dir=str(self.scratch),
            )
            # Archives of others must not write outside of their folder.
            tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
            thing = source.create(asset_id)
            centre, inertia = _read_urdf(Path(thing.simulation_filename))
            bounds = np.array(thing.bounds, np.float64)
        except (OSError, ValueError, KeyError, TypeError, AssertionError, tarfile.TarError) as error:
            raise AssetError(f"asset {asset_id} of {path}: {_words(error)}") from error
        if not (np.ptp(bounds, axis=0) > 0).all():
            raise AssetError(f"asset {asset_id} of {path}: bounds {bounds.tolist()} hold no volume")
        described = {"id": asset_id, "manifestSha256": hashlib.sha256(text).hexdigest()}
        if entry.get("metadata"):
            described["metadata"] = entry["metadata"]
        return FoundAsset(source, asset_id, bounds, centre, inertia, described)


def _data_folder(manifest: Mapping[str, Any], path: Path) -> str:
    """Return where the archives lie; a relative ``data_dir`` counts from the manifest."""
    return str(path.parent / manifest.get("data_dir", "."))


def _read_urdf(path: Path) -> tuple[Array, tuple[float, float, float]]:
    """Return the centre of mass and the moments for a mass of 1 kg of a URDF's first link.

    Products of inertia are left out: Bullet keeps three moments about the link's own axes.
    """
    try:
        inertial = ElementTree.parse(path).getroot().find("link/inertial")  # noqa: S314 - the user's own files
    except ElementTree.ParseError as error:
        raise ValueError(f"{path.name}: not XML ({error})") from error
    if inertial is None:
        raise ValueError(f"{path.name}: found no link with an inertial part")
    origin, mass, tensor = inertial.find("origin"), inertial.find("mass"), inertial.find("inertia")
    if mass is None or tensor is None:
        raise ValueError(f"{path.name}: found no mass and inertia")
    centre = [float(part) for part in origin.get("xyz", "0 0 0").split()] if origin is not None else [0.0, 0.0, 0.0]
    kilograms = float(mass.get("value", "nan"))
    ixx, iyy, izz = (float(tensor.get(name, "nan")) / kilograms for name in ("ixx", "iyy", "izz"))
    if not (np.isfinite([ixx, iyy, izz]).all() and min(ixx, iyy, izz) > 0):
        raise ValueError(f"{path.name}: moments of inertia have to be above 0")
    return np.array(centre), (ixx, iyy, izz)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{Path(error.filename).name}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, KeyError):
        return f"found no {error}"
    return " ".join(str(error).split()) or type(error).__name__
