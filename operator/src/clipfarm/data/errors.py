"""What is wrong with a data set."""


class DataError(ValueError):
    """A folder does not hold what was asked for; the message is one line for people."""
