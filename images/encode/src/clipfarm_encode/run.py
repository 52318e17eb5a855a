"""The command from its options to its exit status: load, look, encode, report."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console

from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.excerpt import Cut
from clipfarm_contract.feature_sets import FeatureSet
from clipfarm_contract.fields import ContractError
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.text import printable
from clipfarm_contract.video_listing import Listing
from clipfarm_encode.files.claims import Claims
from clipfarm_encode.files.decoding import Decoders
from clipfarm_encode.files.finding import find_clips
from clipfarm_encode.files.identity import Identity, IdentityError
from clipfarm_encode.loading import load, recipe, works
from clipfarm_encode.models.device import choose_devices, memory_held, peak_flops
from clipfarm_encode.pipeline import Pipeline
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.serving import Server
from clipfarm_encode.reporting.tally import DeviceTally
from clipfarm_encode.saving import Work
from clipfarm_encode.selection import Once, Source, survey
from clipfarm_encode.stopping import Stopper
from clipfarm_encode.videos import making
from clipfarm_encode.watching.one_set import SetWatch
from clipfarm_encode.watching.watch import Watch

OK, FAILED, OUT_OF_MEMORY = 0, 1, 2
DECODERS_OF_A_DEVICE = 16


def encode(stopper: Stopper, options: dict[str, Any], sets: Sequence[FeatureSet]) -> int:
    """Carry out the command with its options, and return its exit status.

    Raises:
        UsageError: the options, the weights or the folder are not what they should be.
    """

    # What is wrong with the command line is said before minutes go into loading a model.
    wanted = None if options["clips"] is None else _numbers(options["clips"])
    identity = _identity(options)
    listing = None
    if options["videos"] is not None:
        _check_videos(options)
    with ExitStack() as stack:
        try:
            devices = choose_devices(options["device"])
            decoders = stack.enter_context(Decoders(min(available_cpus(), DECODERS_OF_A_DEVICE * len(devices))))
            if options["videos"] is None and not options["check"]:
                # Before the model, whose weights take seconds to read; the decoders are ready meanwhile.
                decoders.start(_clips_to_read(options, wanted))
            encoders = load(sets, devices, batch_size=options["batch_size"], compiled=options["compiled"])
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if options["check"]:
            return OK
        if options["videos"] is not None:
            # After the model: cutting many videos takes minutes, which a wrong weights file must not cost.
            listing, wanted = _make_clips(options)
            decoders.start(_clips_to_read(options, wanted))
        recipes = [recipe(each, of_set[0]) for each, of_set in zip(sets, encoders, strict=True)]
        tallies = [
            DeviceTally(str(each), peak_flops(each), lambda each=each: memory_held(each))  # type: ignore[misc]
            for each in devices
        ]
        console = Console(soft_wrap=True)
        reporter = Reporter(recipes, tallies, options["log_json"], console, wanted=wanted, listing=listing)
        made = works(encoders, recipes, reporter, options["out_dir"], overwrite=options["overwrite"])
        return _encode(stopper, stack, made, reporter, decoders, wanted, identity, options)


def _encode(
    stopper: Stopper,
    stack: ExitStack,
    made: Sequence[Work],
    reporter: Reporter,
    decoders: Decoders,
    wanted: Indexes | None,
    identity: Identity | None,
    options: dict[str, Any],
) -> int:
    source = _source(stopper, stack, made, reporter, wanted, identity, options)
    _introduce(reporter, made, options)
    if options["port"] is not None:
        stack.callback(_serve(reporter, options["host"], options["port"]))
    reporter.update()
    pipeline = Pipeline(
        made,
        source,
        reporter,
        stopper.saving,
        batch_size=options["batch_size"],
        decoders=decoders,
        linger=_linger(made[0].encoders[0].device.type, options),
        vanishing=options["watch"],
        again=options["overwrite"] and not options["watch"],
    )
    pipeline.run(options["limit"])
    reporter.finish()
    if pipeline.out_of_memory:
        return OUT_OF_MEMORY
    return FAILED if reporter.tally.failures else OK


def _clips_to_read(options: dict[str, Any], wanted: Indexes | None) -> int:
    return len(find_clips(options["data_dir"], wanted)[: options["limit"]])


def _check_videos(options: dict[str, Any]) -> None:
    try:
        making.check(*_cut_of(options))
    except ContractError as error:
        raise click.UsageError(f"--videos: {error}") from None


def _cut_of(options: dict[str, Any]) -> tuple[Path, RunFolder, Cut]:
    cut = Cut.asked(options["clip_frames"], options["clip_stride"], options["fps"])
    return options["videos"], RunFolder(options["data_dir"].absolute()), cut


def _make_clips(options: dict[str, Any]) -> tuple[Listing, Indexes]:
    """Cut the videos, and return what was found, and the numbers of the clips.

    Raises:
        UsageError: there is no clip to encode.
    """
    try:
        outcome = making.make_clips(*_cut_of(options))
    except ContractError as error:
        raise click.UsageError(f"--videos: {error}") from None
    said = making.lines(outcome, options["videos"])
    if not outcome.clips:
        raise click.UsageError(f"--videos: {'; '.join(said)}")
    for line in said:
        click.echo(printable(line))
    return Listing.of(outcome.videos, len(outcome.numbers), outcome.refused), Indexes.of(outcome.numbers)


def _linger(device: str, options: dict[str, Any]) -> float:
    """Return how long a clip may wait for others of its batch, seconds."""
    if not options["watch"]:
        return float("inf")
    # One clip alone keeps all cores of a CPU busy, and the others are there when it is done.
    return 0.0 if device == "cpu" else float(options["batch_wait"])


def _source(
    stopper: Stopper,
    stack: ExitStack,
    made: Sequence[Work],
    reporter: Reporter,
    wanted: Indexes | None,
    identity: Identity | None,
    options: dict[str, Any],
) -> Source:
    """Return the clips to encode; a mistake that every clip would meet is told before the first."""
    clips = find_clips(options["data_dir"], wanted)
    surveys = [survey(clips, work.destination, identity) for work in made]
    for work, surveyed in zip(made, surveys, strict=True):
        if surveyed.other:
            found, reason = surveyed.other[0]
            raise click.UsageError(
                f"{work.account.label}{found.name} has features already, {reason}"
                + (f" (and {len(surveyed.other) - 1} more clips)" if len(surveyed.other) > 1 else "")
                + "; --overwrite makes them again"
            )
    if not options["watch"]:
        stopper.before_exit = reporter.stopped
        if unvouched := sum(not found.clip.is_complete for found in clips):
            reporter.say(f"{unvouched} of {len(clips)} clips have no clip.json: nothing vouches that they are whole")
        accounts = [work.account for work in made]
        return Once(list(zip(surveys, accounts, strict=True)), again=options["overwrite"])
    folder = RunFolder(options["out_dir"] or options["data_dir"])
    claims = [
        stack.enter_context(Claims(folder.claims(work.destination.recipe.set_name), options["stale_after"]))
        for work in made
    ]
    if not claims[0].works:
        reporter.say("NOTE: this file system has no hard links, so no second encoder may work on this folder")

    def stopped() -> None:
        reporter.stopped()
        for each in claims:
            each.release_all()

    stopper.before_exit = stopped
    watches = [
        SetWatch(work.destination, work.account, of_set, surveyed, identity)
        for work, of_set, surveyed in zip(made, claims, surveys, strict=True)
    ]
    return Watch(options["data_dir"], watches, reporter, wanted=wanted)


def _identity(options: dict[str, Any]) -> Identity | None:
    try:
        return Identity.given(options["seed"], options["experiment"], options["command"])
    except IdentityError as error:
        raise click.UsageError(str(error)) from None


def _numbers(clips: str) -> Indexes:
    try:
        numbers = Indexes.parse(clips)
    except ValueError as error:
        raise click.UsageError(f"--clips: {error}") from None
    if not numbers:
        raise click.UsageError("--clips: found no clip, expected ranges such as 0-99,105")
    return numbers


def _serve(reporter: Reporter, host: str, port: int) -> Callable[[], None]:

    try:
        server = Server(reporter, host, port)
    except OSError as error:
        raise click.UsageError(f"--port {port}: {error.strerror}") from None
    reporter.say(f"/metrics and /progress at http://{host}:{server.port}")
    return server.close


def _introduce(reporter: Reporter, made: Sequence[Work], options: dict[str, Any]) -> None:
    """Print what is going to compute, and what a user would want to know before."""
    lines: dict[str, None] = {}  # in order, and each once: sets may share a model
    for work in made:
        encoder = work.encoders[0]
        weights, device = encoder.weights, encoder.device.type
        devices = device if len(work.encoders) == 1 else f"{len(work.encoders)} x {device}"
        lines[
            f"{encoder.name} on {devices}, {torch.get_num_threads()} CPU threads, "
            f"weights {weights.source} (sha256 {weights.sha256[:12]}...)"
        ] = None
        if weights.random:
            lines[f"NOTE: {weights.to_json()['note']}"] = None
        if encoder.note:
            lines[f"NOTE: {encoder.note}"] = None
    for line in lines:
        reporter.say(line)
    if len(made) > 1:
        names = ", ".join(f"{work.destination.recipe.set_name}" for work in made)
        reporter.say(f"{len(made)} feature sets: {names}")
    device = made[0].encoders[0].device.type
    if device == "cuda" and options["compiled"]:
        reporter.say("NOTE: --compile has no effect on CUDA: the encoder's own kernels are faster")
    if device == "cpu" and options["device"] == "auto":
        reporter.say("NOTE: no GPU found, so this runs on the CPU: some hundred times slower than on a GPU")
