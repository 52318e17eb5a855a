import pytest

from clipfarm_render.output import MAX_LINE_BYTES, TAIL_LINES, LineSplitter, Tail, is_chatter


def test_lines_come_out_whole_however_the_bytes_arrive():
    splitter = LineSplitter()
    assert splitter.feed(b"System is out") == []
    assert splitter.feed(b" of GPU memory\nnext") == ["System is out of GPU memory"]
    assert splitter.end() == ["next"]
    assert splitter.end() == []


def test_a_carriage_return_ends_a_line_too():
    assert LineSplitter().feed(b"10 %\r20 %\r") == ["10 %", "20 %"]


def test_bytes_that_are_no_text_do_no_harm():
    assert LineSplitter().feed(b"\xff\xfe!\n") == ["��!"]


def test_a_line_without_an_end_is_cut():
    (line,) = LineSplitter().feed(b"x" * (MAX_LINE_BYTES + 1))
    assert len(line) == MAX_LINE_BYTES + 1


def test_the_tail_keeps_the_last_fifty_lines():
    tail = Tail()
    for i in range(80):
        tail.add(str(i))
    assert tail.text().splitlines() == [str(i) for i in range(80 - TAIL_LINES, 80)]
    assert tail.last == "79"


@pytest.mark.parametrize(
    ("line", "chatter"),
    [
        ("Fra:0 Mem:18.29M (Peak 18.29M) | Time:00:00.10 | Mem:0.00M | Scene | Synchronizing object | floor", True),
        ("Saved: '/tmp/a/raw.png'", True),
        ("Time: 00:00.86 (Saving: 00:00.03)", True),
        ("", True),
        ("Error: Not freed memory blocks: 1, total unfreed memory 0.001328 MB", True),
        ("Error: dropbox with unknown operator: WM_OT_drop_blend_file", True),
        ("Traceback (most recent call last):", False),
        ("Time is up", False),
    ],
)
def test_blenders_chatter_is_told_from_news(line, chatter):
    assert is_chatter(line) is chatter
