"""Looks at every slide of the files that `python3 run.py slides` writes, in Chromium at 1280 x 720:

    python3 run.py python tests/look_at_slides.py [DIR] [--to FOLDER]

Says of each slide what does not fit on it, and which text is smaller than 20 pixels; with --to, puts a picture of each into a folder.
"""

import argparse
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZE, SMALLEST = {"width": 1280, "height": 720}, 20      # pixels
READY = "() => window.MathJax?.isReady && Reveal.isReady()"
TYPESET = "() => new Promise(done => MathJax.Hub.Queue(() => done()))"
OPEN = "k => { const place = Reveal.getIndices(Reveal.getSlides()[k]); Reveal.slide(place.h, place.v, 99); }"      # all its fragments shown
MEASURE = """smallest => {
  const slide = Reveal.getCurrentSlide(), texts = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
  const outside = [], small = [], fits = r => r.left >= 0 && r.top >= 0 && r.right <= innerWidth && r.bottom <= innerHeight;
  const seen = e => !e.closest('aside, script, style') && e.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const check = (r, name) => { if (r.width && r.height && !fits(r)) outside.push(name.trim().slice(0, 60)); };
  let shown = 0;
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement, text = texts.currentNode.textContent.trim(), range = document.createRange();
    if (!text || !seen(parent)) continue;
    range.selectNodeContents(texts.currentNode);
    check(range.getBoundingClientRect(), text);
    shown += 1;
    const size = parseFloat(getComputedStyle(parent).fontSize);
    const index = parent.closest('.MathJax, .MathJax_Preview');         // those of formulas may be smaller
    if (size < smallest && !index) small.push(`${size}px: ${text.slice(0, 60)}`);
  }
  for (const e of slide.querySelectorAll('img, table, pre')) {
    if (seen(e)) { check(e.getBoundingClientRect(), e.alt || e.tagName); shown += 1; }
  }
  for (const e of slide.querySelectorAll('*')) {      // what a box of its own cuts off
    const hidden = getComputedStyle(e).overflow !== 'visible' && (e.scrollWidth > e.clientWidth + 2 || e.scrollHeight > e.clientHeight + 2);
    if (hidden && seen(e) && !e.closest('.MathJax')) outside.push(e.innerText.slice(0, 60));
  }
  const title = slide.querySelector('.slide-title, h1, h2, h3');
  return {title: title ? title.innerText : '', shown, outside, small, unset: slide.innerText.includes('$$')};
}"""


@contextmanager
def browser():
    """A page of Chromium at 1280 x 720, and the list of all that it asks for which is not a file."""
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--headless", "--no-sandbox"])
        page, asked = chromium.new_page(viewport=SIZE), []
        page.on("request", lambda request: asked.append(request.url) if not request.url.startswith(("file:", "data:", "about:")) else None)
        try:
            yield page, asked
        finally:
            chromium.close()


def look(page, path, to=None):
    """What each slide of a file shows: [{title, shown, outside, small, unset}, ...], one dict a slide."""
    page.goto(path.resolve().as_uri())
    page.wait_for_function(READY)
    page.evaluate(TYPESET)
    found = []
    for k in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(OPEN, k)
        page.evaluate(TYPESET)
        page.wait_for_function("() => [...Reveal.getCurrentSlide().querySelectorAll('img')].every(image => image.complete)")
        page.wait_for_timeout(50)       # for the browser to lay it out
        found.append(page.evaluate(MEASURE, SMALLEST))
        if to:
            to.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=to / f"{path.stem}-{k + 1:02}.png")
    return found


def complaints(slide):
    """What is wrong with a slide, in words."""
    wrong = [f"does not fit: {name}" for name in slide["outside"]] + [f"small: {text}" for text in slide["small"]]
    missing = {"mathematics that is not set": slide["unset"], "it has no title": not slide["title"], "it is empty": slide["shown"] < 2}
    return wrong + [name for name, true in missing.items() if true]


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__.split(":\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "slides", metavar="DIR")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to put a picture of each slide")
    options = parser.parse_args(args)
    wrong = 0
    with browser() as (page, asked):
        for path in sorted(options.folder.glob("*.html")):
            for number, slide in enumerate(look(page, path, options.to), 1):
                print(f"{path.stem} {number:2}  {slide['title']}", *complaints(slide), sep="\n      ")
                wrong += len(complaints(slide))
    print(f"{wrong} complaints; asked of the network: {', '.join(asked) or 'nothing'}")
    return int(bool(wrong or asked))


if __name__ == "__main__":
    sys.exit(main())
