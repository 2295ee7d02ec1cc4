"""Every slide in a real browser at 1280 x 720: all of it fits, its text is at least 20 pixels high, nothing comes from a network."""

import look_at_slides
import pytest
from test_slides import NOTEBOOKS, ROOT

from helpers.recipes import slides

pytestmark = pytest.mark.skipif(not look_at_slides.CHROMIUM, reason="there is no Chromium")

TOO_MUCH = """\
<html><body style="margin: 0"><script>
const Reveal = {getSlides: () => [document.querySelector('section')], getCurrentSlide: () => document.querySelector('section')};
</script><section><h2 style="font-size: 36px">A title</h2><p style="font-size: 24px">Large enough.</p>%s</section></body></html>"""


@pytest.fixture(scope="module")
def chromium():
    with look_at_slides.browser() as (page, asked):
        yield page, asked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    written = tmp_path_factory.mktemp("slides")
    slides.write(written, NOTEBOOKS)
    return written


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slide_fits_and_can_be_read(chromium, folder, path):
    page, asked = chromium
    found = look_at_slides.look(page, folder / f"{path.stem}.html")
    wrong = [f"{number} {slide['title']}: {text}" for number, slide in enumerate(found, 1) for text in look_at_slides.complaints(slide)]
    assert not wrong, "\n".join(wrong)
    assert not asked


def test_notes_open_by_key_without_a_network(chromium, folder):
    page, asked = chromium
    page.goto((folder / "04_summary.html").as_uri() + "#/2")
    page.wait_for_function(look_at_slides.READY)
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    notes = slides.slides(slides.nbformat.read(ROOT / "notebooks/04_summary.ipynb", as_version=4))[2][0].metadata.lecture.notes
    opened.value.get_by_text(notes[:40]).wait_for()
    assert not asked


@pytest.mark.parametrize("content, complaint", [
    ('<p style="font-size: 24px">Fine.</p>', None),
    ('<p style="font-size: 14px">Tiny</p>', "small: 14px: Tiny"),
    ('<p style="font-size: 24px; margin-top: 700px">Low</p>', "does not fit: Low"),
    ('<pre style="font-size: 24px">' + "wide " * 40 + "</pre>", "does not fit: wide"),
    ('<div style="font-size: 24px; width: 90px; overflow: hidden">Twiceaslongasthat</div>', "does not fit: Twice"),
    ('<p style="font-size: 14px; display: none">Hidden</p>', None),
    ('<p style="font-size: 24px">$$x^2$$</p>', "mathematics that is not set"),
])
def test_what_is_wrong_with_a_slide_is_found(chromium, content, complaint):
    page, _ = chromium
    page.goto("about:blank")
    page.set_content(TOO_MUCH % content)
    found = look_at_slides.complaints(page.evaluate(look_at_slides.MEASURE, look_at_slides.SMALLEST))
    assert bool(found) == bool(complaint) and (not complaint or any(complaint in text for text in found))
