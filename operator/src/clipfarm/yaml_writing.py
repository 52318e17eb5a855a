"""YAML that kubectl reads as it was meant: a text that is no text to it without quotes gets them.

PyYAML leaves ``y``, ``n`` and ``1e3`` without quotes. To kubectl these are true, false and a number.
"""

import re
from typing import Any

import yaml

from clipfarm.yaml_scalars import ScalarError, scalar

_TEXT = "tag:yaml.org,2002:str"
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line, and may read as another one."""


class Writer(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and each value out in full where it stands several times."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that there are no aliases."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _OTHER_BREAKS.search(text):
        return dumper.represent_scalar(_TEXT, text, style='"')
    if "\n" in text:
        return dumper.represent_scalar(_TEXT, text, style="|")
    return dumper.represent_scalar(_TEXT, text, style=None if _is_text(text) else "'")


def _is_text(word: str) -> bool:
    """Return whether a word without quotes is a text to kubectl."""
    try:
        return isinstance(scalar(word, None, plain=True), str)
    except ScalarError:
        return False


Writer.add_representer(str, _text)
