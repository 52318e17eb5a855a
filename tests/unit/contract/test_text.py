import pytest

from clipfarm_contract.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Käse 🧀, a\ttab\nand a line", "Käse 🧀, a\ttab\nand a line"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("back\x08space and\rreturn", "back\\x08space and\\x0dreturn"),
        ("\x9b2J\x85", "\\x9b2J\\x85"),
        ("\u202eturned\u2066", "\\u202eturned\\u2066"),
        ("a line\u2028of another kind", "a line\\u2028of another kind"),
        (b"caf\xe9".decode(errors="surrogateescape"), "caf\\xe9"),
        ("half \ud800", "half \\ud800"),
        ("a \\x1b that was written out", "a \\x1b that was written out"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
    printable(text).encode()
