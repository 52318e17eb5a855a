"""What the commands print as YAML, kubectl reads as it was meant."""

import pytest
import yaml

from clipfarm.yaml_documents import documents
from clipfarm.yaml_writing import Writer

WORDS = (
    "y", "N", "on", "no", "true", "null", "~", "", "=", "<<", "1", "1e3", "0o17", "017", "08", "0x1f", "1_000", ".5e3",
    "1e999", "+.inf", ".nan", "2001-01-01", "12:30", "-", "yes sir", "a: b", "# a", "é", "😀",
)  # fmt: skip
TEXTS = (
    "one\ntwo\n",
    "one\ntwo",
    " one\n\n two\n\n",
    "\n",
    "a \nb",
    "a\tb\n",
    "a\r\nb\n",
    "a\x85b\n",
    "a\u2028b",
    "a\x00b",
)


@pytest.mark.parametrize("text", [*WORDS, *TEXTS])
def test_a_text_stays_the_same_text_as_a_value_and_as_a_key(text):
    made = {text: [text, {"in": text}]}
    for unicode in (True, False):
        written = yaml.dump(made, Dumper=Writer, sort_keys=False, allow_unicode=unicode, width=110)
        assert documents(written.encode()) == [made]


def test_other_values_stay_what_they_are_and_plain_words_have_no_quotes():
    made = {"a": [1, 1.5, True, None, {}], "b": "plain word"}
    written = yaml.dump(made, Dumper=Writer, sort_keys=False)
    assert documents(written.encode()) == [made]
    assert "'" not in written
