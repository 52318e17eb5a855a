"""Times on the command line."""

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """A range of numbers that refuses ``nan``, which is neither too small nor too large."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return number
