"""What a supervisor answers of each clip whose number it was given on its standard input: a line, ``42 0 kept``."""

import re
from dataclasses import dataclass

_LINE = re.compile(r"([0-9]{1,9}) ([0-9]{1,3}) (kept|gone)")


@dataclass(frozen=True, slots=True)
class Answer:
    """A clip is done, and the next one may come."""

    clip: int
    exit_code: int
    """As a supervisor of this clip alone would have ended."""
    kept: bool
    """Whether the process that made it lives on, with the GPU memory that it has, and makes the next one."""

    @classmethod
    def parse(cls, line: str) -> "Answer":
        """Read a line.

        Raises:
            ValueError: it is no answer.
        """
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f'found "{line[:60]}", expected an answer such as 42 0 kept')
        return cls(int(match[1]), int(match[2]), match[3] == "kept")

    def dump(self) -> str:
        """Return the line, without its end."""
        return f"{self.clip} {self.exit_code} {'kept' if self.kept else 'gone'}"
