"""Whose clips are encoded: those of one run, where other runs' clips may lie in the same folder."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from clipfarm_contract import regular
from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.experiment import Experiment
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import clip_name
from clipfarm_encode.files.finding import Found


class IdentityError(ValueError):
    """What the run is, is not said as it should be; the message is one line."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The run whose clips are encoded."""

    seed: int
    experiment: Experiment
    renderer: tuple[str, ...] | None
    """The command of the run's own renderer; None for the built-in one."""

    @classmethod
    def given(cls, seed: int | None, experiment: Path | None, command: tuple[str, ...]) -> Self | None:
        """Return the run that a command line names; None if it names none, and any clip is to be encoded.

        Args:
            seed: the run's; None: not given.
            experiment: a file with the run's experiment, JSON; None: the environment variable has it.
            command: of the run's own renderer; empty for the built-in one.

        Raises:
            IdentityError: only a part is given, or the experiment cannot be read.
        """
        if seed is None:
            if experiment is not None or command:
                raise IdentityError("--seed: missing, expected the run's seed beside its experiment and renderer")
            return None
        try:
            where = f"--experiment: {experiment}"
            given = None if experiment is None else regular.read_given(experiment, where).decode()
            text = os.environ.get(RUN_EXPERIMENT) if experiment is None else given
        except ContractError as error:
            raise IdentityError(str(error)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise IdentityError(f"--experiment: {experiment}: {getattr(error, 'strerror', None) or error}") from None
        if text is None:
            raise IdentityError(f"--experiment: missing, expected a file, or the variable {RUN_EXPERIMENT}")
        try:
            return cls(seed, Experiment.from_json(text), command or None)
        except ContractError as error:
            raise IdentityError(str(error)) from None

    def difference(self, found: Found) -> str | None:
        """Return how a clip differs from this run's clip of that number; None if it is this run's.

        Only ``clip.json`` is read: sizes and bytes of the frames are compared when they are decoded. How frames are
        composited is not compared: the renderer makes no second clip of a number for that, and a run that goes on with
        a later version has clips of both.

        Raises:
            OSError: ``clip.json`` cannot be read.
            ContractError: it is no clip.json of this version.
        """
        manifest = ClipManifest.read(found.clip.manifest)
        number = found.order[0]
        if found.name != clip_name(number):
            return f"the name {found.name} instead of {clip_name(number)}"
        if manifest.recipe.index != number:
            return f"index {manifest.recipe.index} instead of {number}"
        try:
            wanted = self.experiment.recipe(self.seed, number)
            return manifest.difference(replace(wanted, compositing=manifest.recipe.compositing), self.renderer)
        except ContractError as error:
            return str(error)  # no phase of the experiment holds it
