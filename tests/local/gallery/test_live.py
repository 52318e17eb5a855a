"""The page of a run on this machine, served while the run goes on."""

import json
import re
import urllib.request

import pytest

from helpers.browser import opened
from helpers.local import Local, end, wait_until

# All tests of this file run in one process, and so in one browser.
pytestmark = pytest.mark.xdist_group("live")

CLIPS = 4


@pytest.fixture
def running(tmp_path):
    """A run of four clips that wait for their turn, with its address."""
    experiment = {
        "frames": 4,
        "resolution": 32,
        "phases": [
            {
                "name": "A",
                "clips": {"start": 0, "end": 3},
                "friction": {"min": 0, "max": 1},
                "mass": {"min": 1, "max": 1},
            }
        ],
    }
    run = Local(tmp_path / "run", CLIPS, {"experiment": experiment})
    for clip in range(CLIPS):
        run.script(clip, f"wait {clip} paint")
    run.script(2, "wait 2 print <b>no</b> exit 1")
    process = run.start("--page-port", 0)
    try:
        lines: list[str] = []

        def address():
            lines.append(process.stdout.readline())
            return re.search(r"page: (http://127\.0\.0\.1:\d+/)", lines[-1])

        yield run, process, wait_until(address, "the page's address")[1]
    finally:
        process.kill()
        process.communicate()


def seen(page, expression):
    """Wait for JavaScript to be true; the page's own rules refuse Playwright's way of waiting, which evaluates text."""
    wait_until(lambda: page.evaluate(expression), expression, 20)


def test_clips_and_failures_appear_by_themselves_until_the_run_ends(chromium, running):
    run, process, address = running
    with opened(chromium, address) as page:
        page.wait_for_selector("article.run")
        assert page.get_by_text("No clip is complete yet.").is_visible()
        run.signal_file("0")
        page.wait_for_selector(".card[data-row='0']")
        seen(page, "document.querySelector('.card img').naturalWidth === 4 * 128")
        run.signal_file("1")
        run.signal_file("2")
        page.wait_for_selector(".card[data-row='1']")
        seen(page, "document.querySelectorAll('.run tbody tr').length === 1")
        assert page.locator(".run tbody tr").inner_text().split("\t") == [
            "2",
            "render",
            "exit status 1; last line: <b>no</b>",
        ]
        assert page.locator("progress[aria-label=rendered]").get_attribute("value") == "2"
        assert page.locator(".card b").all_inner_texts() == ["1", "0"]  # the newest first
        page.locator(".card").first.click()
        seen(page, "document.getElementById('clip-picture').naturalWidth === 32")
        page.keyboard.press("Escape")
        end(process)
        page.wait_for_selector("#live-lost:not([hidden])")
        assert "No answer since" in page.locator("#live-lost").inner_text()
        assert page.locator(".card").count() == 2


def test_the_page_is_read_only_and_for_this_machine(running):
    _, _, address = running

    def status(path, method="GET", **headers):
        request = urllib.request.Request(address + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert status("live.json") == 200
    assert status("live.json", "POST") == 405
    assert status("live.json", Host="evil.example") == 403
    for path in (
        "run/clip_00000/../../run.yaml",
        "run/clip_00000/seed.txt",
        "%2e%2e/run.yaml",
        "page.py",
        "data/clips.xml",
    ):
        assert status(path) == 404, path

    def runs():
        with urllib.request.urlopen(address + "live.json", timeout=10) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            return json.load(answer)["runs"]

    [run] = wait_until(runs, "the first tick")
    assert (run["total"], run["rendered"], run["encoded"]) == (CLIPS, 0, None)


def test_a_port_that_is_taken_is_refused_before_the_run_starts(running, tmp_path):
    _, _, address = running
    port = address.rsplit(":", 1)[1].strip("/")
    other = Local(tmp_path / "other", 1)
    done = other.run("--page-port", port)
    assert done.returncode == 2
    assert f"--page-port: cannot serve at 127.0.0.1, port {port}: Address already in use" in done.stderr
    assert other.started() == []
