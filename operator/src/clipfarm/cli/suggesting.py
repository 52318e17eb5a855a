"""Groups of commands that suggest one for a mistyped word."""

import difflib

import click


class Suggesting(click.Group):
    """Suggests a command for a word that is none."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; ends with a usage error if there is none of the name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            names = self.list_commands(ctx)
            if args[0].startswith("-") or args[0] in names:
                raise
            close = difflib.get_close_matches(args[0].replace("_", "-"), names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"
            raise click.UsageError(f"no such command: {args[0]}; {hint}", ctx) from error
