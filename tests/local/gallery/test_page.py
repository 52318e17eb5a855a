"""The gallery's page in a real browser, opened as a file."""

import json
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from helpers.browser import opened
from helpers.clips import give_features, make_clips

# All tests of this file run in one process, and so in one browser.
pytestmark = pytest.mark.xdist_group("gallery")

PHASES = {"A1": 60, "A2": 10, "B": 30}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 100 clips in three phases, some with features, and clips that failed."""
    run = make_clips(tmp_path_factory.mktemp("runs") / "a run & more", frames=14, size=32, **PHASES)
    give_features(run.clip(0), "tiny", np.zeros((7, 4, 3), np.float16))
    for index, code, reason in ((100, 2, "out of memory"), (101, 2, "out of memory"), (107, 1, HOSTILE)):
        run.result(index).parent.mkdir(parents=True, exist_ok=True)
        result = {"index": index, "exitCode": code, "reason": reason, "seconds": {}, "cpuSeconds": 1, "peakRssMiB": 1}
        run.result(index).write_text(json.dumps(result))
    return run


@pytest.fixture(scope="module")
def folder(run, make_gallery) -> Path:
    return make_gallery(run)


@pytest.fixture
def page(chromium, folder):
    with opened(chromium, folder) as page:
        yield page


def count(page) -> str:
    return page.locator("#count").inner_text()


def clips(page) -> list[str]:
    return page.locator(".card b").all_inner_texts()


def truth_of(run, index: int) -> dict:
    return json.loads(run.clip(index).ground_truth.read_text())


def test_clips_without_factors_are_plotted_by_two_outcomes(chromium, make_gallery, tmp_path):
    run = make_clips(tmp_path / "run", frames=8, size=16, A=6)
    for index in run.clips():  # as a renderer of one's own may leave it out
        run.clip(index).ground_truth.unlink()
    with opened(chromium, make_gallery(run)) as page:
        assert [page.locator(axis).input_value() for axis in ("#plot-x", "#plot-y")] == ["distance", "displacement"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_it_fits_phones_and_desks_in_light_and_dark_and_has_no_barriers(chromium, folder, width, scheme):
    with opened(chromium, folder, width=width, height=800, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        assert Axe().run(page).generate_report().startswith("Found 0 accessibility violations"), "the grid"
        page.locator("#failures summary").click()
        page.locator(".card").nth(1).click()
        page.wait_for_selector("#clip-truth td")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert Axe().run(page).generate_report().startswith("Found 0 accessibility violations"), "the dialog"


def test_a_phase_and_a_range_filter_and_can_be_taken_off(page, run):
    page.locator("label.level", has_text="B").locator("input").check()
    assert count(page) == "30 of 100 clips"
    assert clips(page)[0] == "70"
    fits = [i for i in range(70, 100) if 0.05 <= truth_of(run, i)["friction"] <= 0.1]
    page.get_by_label("friction from").fill("0.05")
    page.get_by_label("friction to").fill("0.1")
    page.keyboard.press("Enter")
    assert count(page) == f"{len(fits)} of 100 clips"
    assert clips(page) == list(map(str, fits))
    page.get_by_role("button", name="Remove filter phase: B").click()
    page.get_by_role("button", name="Remove filter friction").click()
    assert count(page) == "100 clips"


def test_clips_are_found_by_number_and_none_is_an_answer(page):
    find = page.get_by_label("Clips by number")
    find.fill("7, 20-22, clip_00042")
    assert clips(page) == ["7", "20", "21", "22", "42"]
    find.fill("5000")
    assert page.get_by_text("No clip fits these filters.").is_visible()
    page.locator("#none-clear").click()
    assert count(page) == "100 clips"


def test_clips_are_sorted_by_a_factor(page, run):
    page.get_by_label("Sort by").select_option("mass")
    order = sorted(range(100), key=lambda index: truth_of(run, index)["mass"])
    assert clips(page)[:5] == list(map(str, order[:5]))
    page.get_by_role("button", name="Descending").click()
    assert clips(page)[:5] == list(map(str, order[:-6:-1]))


def test_a_clip_shows_its_frames_and_its_truth(page, run):
    page.locator(".card").nth(3).click()
    page.wait_for_selector("#clip-truth td")
    shown = dict(
        zip(
            page.locator("#clip-truth th").all_inner_texts(),
            page.locator("#clip-truth td").all_inner_texts(),
            strict=True,
        )
    )
    truth = truth_of(run, 3)
    assert float(shown["friction"]) == pytest.approx(truth["friction"], rel=1e-3)
    assert shown["object.shape"] == "cube"
    assert shown["seed.index"] == "3"
    page.get_by_label("Frame", exact=True).fill("5")
    picture = page.locator("#clip-picture")
    assert picture.get_attribute("src").endswith("/clip_00003/rgb/frame_00005.png")
    page.wait_for_function("document.getElementById('clip-picture').naturalWidth === 32")
    assert page.locator("#clip-at").inner_text() == "6 / 14"


def test_a_point_opens_its_clip_and_a_drag_filters(page):
    page.evaluate("gallery.ask({clips: '12'})")
    place = page.evaluate(
        """() => {  // where a plot of one clip alone has its point
        const box = document.getElementById('plot').getBoundingClientRect(), {table} = gallery;
        const part = (name) => {
            const {low, high, values} = table.byName.get(name), room = (high - low) * 0.03;
            return (values[12] - low + room) / (high - low + 2 * room);
        };
        return [box.left + 58 + part('friction') * (box.width - 70),
                box.bottom - 40 - part('distance') * (box.height - 50)];
        }"""
    )
    page.mouse.move(*place)
    assert page.locator("#plot-tip b").inner_text() == "clip 12"
    page.mouse.click(*place)
    assert page.locator("#clip-title").inner_text().startswith("clip_00012")
    page.keyboard.press("Escape")
    page.evaluate("gallery.clearFilters()")
    box = page.locator("#plot").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 42, steps=4)
    page.mouse.up()
    assert count(page) == "30 of 100 clips"  # the half of little friction


def test_everything_works_by_keyboard(page):
    page.locator("#grid").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith("clip 0, phase A1, friction ")
    for key, expected in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 99), ("Home", 0)):
        page.keyboard.press(key)
        assert page.evaluate(focused).startswith(f"clip {expected},"), key
    page.keyboard.press("ArrowDown")
    below = page.evaluate(focused)
    page.keyboard.press("Enter")
    title = page.locator("#clip-title")
    assert title.inner_text().startswith(f"clip_{int(below.split()[1][:-1]):05d}")
    before = title.inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.getElementById('clip-title').textContent !== {json.dumps(before)}")
    after = title.inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#clip").is_visible()
    page.wait_for_function(f"{focused}?.startsWith('clip {int(after[5:10])},')")  # a dialog reports its end a bit later


def test_the_plot_is_read_out_and_opened_by_keyboard(page, run):
    page.locator("#plot").focus()
    page.keyboard.press("ArrowRight")
    least = min(range(100), key=lambda index: truth_of(run, index)["friction"])
    assert page.locator("#plot-said").text_content().startswith(f"clip {least}, B, friction 0.0")
    page.keyboard.press("Enter")
    assert page.locator("#clip-title").inner_text().startswith(f"clip_{least:05d}")


def test_failures_with_the_same_reason_are_one_line_and_text_is_no_html(page):
    assert page.locator("#failures-title").inner_text() == "3 failures"
    page.locator("#failures summary").click()
    rows = [row.split("\t") for row in page.locator("#failure-rows tr").all_inner_texts()]
    assert rows == [["100-101", "render", "out of memory"], ["107", "render", HOSTILE]]
    assert not page.locator("#failure-rows img").count()


def test_a_strip_plays_where_the_pointer_is_and_not_for_those_who_want_no_motion(chromium, folder):
    playing = "document.querySelector('.card img').getAnimations().length"
    for motion, expected in (("no-preference", 1), ("reduce", 0)):
        with opened(chromium, folder, reduced_motion=motion) as page:
            assert page.evaluate(playing) == 0
            page.locator(".card").first.hover()
            assert page.evaluate(playing) == expected
            page.wait_for_function("document.querySelector('.card img').naturalWidth === 12 * 128")


def test_a_view_is_kept_in_the_address(page):
    page.locator("label.level", has_text="A2").locator("input").check()
    page.get_by_label("Across").select_option("mass")
    page.locator(".card").nth(2).click()
    page.reload()
    page.wait_for_selector("#clip[open]")
    assert count(page) == "10 of 100 clips"
    assert page.locator("#plot-x").input_value() == "mass"
    assert page.locator("#clip-title").inner_text().startswith("clip_00062")


def test_a_gallery_away_from_its_run_shows_strips(chromium, folder, moved):
    with opened(chromium, moved(folder)) as page:
        page.locator(".card").nth(3).click()
        page.wait_for_function("document.getElementById('clip-picture').src.endsWith('strips/000/3.webp')")
        page.wait_for_function("document.getElementById('clip-picture').naturalWidth === 12 * 128")
        page.wait_for_selector("#clip-truth td")


def test_only_cards_that_can_be_seen_are_in_the_document(chromium, tmp_path, make_gallery):
    folder = make_gallery(make_clips(tmp_path / "many", frames=2, size=16, pictures=False, A=300))
    with opened(chromium, folder) as page:
        assert page.locator(".card").count() < 120
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_selector(".card[data-row='299']")
        assert page.locator(".card").count() < 120


def test_features_are_shown_in_place_of_frames_and_beside_a_clip(chromium, tmp_path, make_gallery):
    run = make_clips(tmp_path / "run", frames=6, size=16, A=3)
    for index in (0, 1):
        give_features(run.clip(index), "tiny", np.random.default_rng(index).normal(size=(3, 4, 5)).astype(np.float16))
    with opened(chromium, make_gallery(run, "--features", "tiny")) as page:
        page.get_by_label("Show").select_option("tiny")
        page.wait_for_function("document.querySelector('.card img').naturalWidth === 3 * 128")
        assert page.locator(".frame").first.get_attribute("style") == "--n: 3;"
        assert "strips/000/2.webp" in page.locator(".card img").nth(2).get_attribute("src")
        page.locator(".card").first.click()
        page.wait_for_function("document.querySelector('#clip-features img').naturalWidth === 3 * 128")
        page.get_by_label("Frame", exact=True).fill("5")
        moved = page.locator("#clip-features img").evaluate("image => image.style.transform")
        assert moved.startswith("translateX(-66.6")


def test_without_thumbnails_cards_show_frames(chromium, tmp_path, make_gallery):
    run = make_clips(tmp_path / "plain", frames=4, size=16, A=2)
    with opened(chromium, make_gallery(run, "--no-thumbnails")) as page:
        page.wait_for_function("document.querySelector('.card img').naturalWidth === 16")
        page.locator(".card").first.hover()
        page.wait_for_function("document.querySelector('.card img').src.endsWith('frame_00002.png')")


def test_a_page_without_its_data_says_so(chromium, folder, moved):
    copy = moved(folder)
    (copy / "data" / "clips.js").unlink()
    with opened(chromium, copy) as page:
        assert "data/clips.js cannot be read" in page.locator("#trouble").inner_text()
