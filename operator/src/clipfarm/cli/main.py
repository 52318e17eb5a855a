"""``clipfarm``: the command line."""

import click

from clipfarm import __version__
from clipfarm.cli.local import local
from clipfarm.cli.operator import operator
from clipfarm.cli.plan import plan
from clipfarm.cli.verify import verify

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    # --test_clips and --test-clips are the same option.
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "max_content_width": 100,
}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__)
def main() -> None:
    """Make physics clips with V-JEPA 2 features from one YAML file."""


main.add_command(local)
main.add_command(operator)
main.add_command(plan)
main.add_command(verify)


if __name__ == "__main__":
    main()
