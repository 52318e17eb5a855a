"""``clipfarm inline``: a run file with its module's text inside, as a cluster needs it."""

from pathlib import Path

import click
import yaml

from clipfarm.cli.options import fail, one_line_errors
from clipfarm.run_file import RunFileError, read_objects, read_run
from clipfarm.yaml_writing import Writer


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@one_line_errors
def inline(*, run_file: Path) -> None:
    """Print RUN_FILE with the text of its module (experiment.module.file) inside.

    A cluster cannot read files of this machine: clipfarm inline run.yaml | kubectl apply -f -
    """
    try:
        read_run(run_file)  # a run that makes no sense is refused here
        found = read_objects(run_file)
    except RunFileError as error:
        fail(*error.lines)
    click.echo(yaml.dump_all(found, Dumper=Writer, sort_keys=False, allow_unicode=True, width=110), nl=False)
