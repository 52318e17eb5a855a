"""What ends an export, in one line for people."""


class ExportError(Exception):
    """The export cannot be made, or not like this; the message says what was found and what to do."""


class NoClipError(ExportError):
    """All clips were left out."""


class LeftOutError(Exception):
    """One clip cannot be part of the export; the message says why, and the others go on."""
