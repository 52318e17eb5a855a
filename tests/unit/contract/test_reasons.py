"""Which reasons of clips are alike."""

import pytest

from clipfarm_contract.reasons import alike


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("timed out after 600 s", "timed out after 600 s", True),
        ("in_view: the object leaves the picture by 3.1 pixels in frame 7",
         "in_view: the object leaves the picture by 12.0 pixels in frame 11", True),
        ("No such file: '/clips/.clip_00001.0a1b/x'", "No such file: '/clips/.clip_00002.9f3c/x'", True),
        ("cannot open /tmp/clipfarm-abcdefgh/model", "cannot open /tmp/clipfarm-a1cd_fgh/model", True),
        ("exit status 1; last line: seed 17 is odd", "exit status 1; last line: seed 4711 is odd", True),
        ("exit status 1; last line: no bean", "exit status 1; last line: no rice", False),
        ("killed by signal 9 (SIGKILL)", "killed by signal 11 (SIGSEGV)", False),
        ("moves: the object moves 0 m", "in_view: the object leaves", False),
    ],
)  # fmt: skip
def test_reasons_are_alike_if_they_differ_only_in_words_that_hold_a_digit(one, another, same):
    assert (alike(one) == alike(another)) is same
