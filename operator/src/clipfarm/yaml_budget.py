"""How much a YAML file may hold, so that no file takes long to read."""

MOST_VALUES = 50_000
"""Keys and values of a file, those that aliases repeat counted again; the largest run has 5,000."""


class DocumentError(ValueError):
    """A file is not what kubectl would read, or loses something there; the message is one line."""


class Budget:
    """What a file may still hold."""

    def __init__(self) -> None:
        self.left = MOST_VALUES

    def take(self, values: int) -> None:
        """Count keys and values.

        Raises:
            DocumentError: there are too many.
        """
        self.left -= values
        if self.left < 0:
            raise DocumentError(f"found more than {MOST_VALUES} keys and values, expected a run and little else")
