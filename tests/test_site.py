"""The web site is whole: links lead somewhere, pictures have alt texts, nothing comes from afar."""

import json
import re
import runpy
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from test_browser import CHROMIUM, NOTEBOOKS, ROOT, skip

PAGES = [f"notebooks/{Path(name).stem}.html" for name in NOTEBOOKS]
LOADED = "script[src], img[src], iframe[src], link[rel~=stylesheet], link[rel~=preload]"
READY = "window.MathJax?.Hub?.queue?.pending === 0 && document.querySelector('.MathJax')"
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site, by the path of its program, since `site` is also a module of Python."""
    folder = tmp_path_factory.mktemp("site")
    assert runpy.run_path(str(ROOT / "scripts/site.py"))["main"]([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def pages(site):
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in paths}


def test_links_lead_to_a_page_and_an_anchor(pages):
    anchors = {path: {"", *(tag["id"] for tag in page.select("[id]"))}
               for path, page in pages.items()}
    for path, page in pages.items():
        for link in [tag["href"] for tag in page.select("a[href]")]:
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            assert re.match("https://", link) or anchor in anchors[target], (path.name, link)


def test_nothing_is_loaded_from_another_host(site, pages):
    for path, page in pages.items():
        for address in [tag.get("src") or tag["href"] for tag in page.select(LOADED)]:
            assert (path.parent / address.partition("?")[0]).exists(), address
    for path in site.rglob("*.css"):
        style = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style)


@pytest.mark.parametrize("name", PAGES)
def test_pages_of_notebooks_are_complete(site, pages, name):
    article = pages[site / name].select_one("article")
    notebook = (ROOT / name).with_suffix(".ipynb").read_text(encoding="utf-8")
    described = [json.loads(text) for text in re.findall(r'"alt": (".+")', notebook)]
    assert [picture["alt"] for picture in article.select("img")] == described != []
    assert len(article.select("details.hide")) == notebook.count('"hide-input"')
    solutions = article.select("details:not(.hide) .highlight-python")
    assert len(solutions) == notebook.count("```python")
    assert article.select('a[href^="GLOSSARY.html#"]')
    dollars = article.find_all(string=re.compile(r"\$"))        # formulas that were not recognized
    assert all(text.find_parent(["pre", "code"]) for text in dollars)


@pytest.mark.browser
@skip
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_open_from_a_file(site, width):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": width, "height": 800})
        wrong = []
        page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
        for name in PAGES:
            page.goto((site / name).as_uri())
            page.wait_for_function(READY)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.goto((site / "notebooks/INDEX.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("link", name="1.4", exact=True).click()
        page.wait_for_function(READY)
        fold = page.locator("details", has_text="def my_neighbors")
        fold.locator("summary").click()
        assert fold.locator("pre").is_visible()
        page.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    assert wrong == []
