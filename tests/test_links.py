"""Links lead somewhere: inside the repository to a file and a heading that exist; outside it they are at least well-formed."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mistune
import nbformat
import pytest

from tests.test_index import headings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [path for pattern in ("*.md", "[a-z]*/README*.md", "notebooks/*.md", "notebooks/*.ipynb") for path in sorted(ROOT.glob(pattern))]
READ = mistune.create_markdown(renderer=None, plugins=["table"])
HOST = re.compile(r"([a-z\d]([a-z\d-]*[a-z\d])?\.)+[a-z]{2,}", re.I)
OURS = re.compile(r"(github\.com|/gh|/github|codespaces\.new)/ORG/REPO\b")      # what `run.py badges` fills in
PLACEHOLDER = re.compile(r"\b(?:ORG|REPO|OWNER|USER|NAME|TODO|FIXME|XXX+|your-?\w*|example\.(?:com|org|net))\b|[<>{}\s]|\.\.\.")


# ---- What a page holds -----------------------------------------------------------------------------------------------


def texts(path):
    """A page's Markdown: one text, or a notebook's cells."""
    if path.suffix == ".ipynb":
        return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return [path.read_text(encoding="utf-8")]


def inner(parts):
    """All parts of parsed Markdown, with those inside them."""
    for part in parts:
        yield part
        yield from inner(part.get("children", []))


def links(text):
    """Where the links and pictures of a Markdown text lead, those in its HTML too."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend(value for name, value in attributes if name in ("href", "src"))

    for part in inner(READ(text)):
        if part["type"] in ("link", "image"):
            found.append(part["attrs"]["url"])
        elif part["type"] in ("block_html", "inline_html"):
            Parser().feed(part["raw"])
    return [unquote(link) for link in found]


def anchors(path):
    """The ids of a page's headings: in a notebook as JupyterLab makes them, in other pages as GitHub does."""
    if path.suffix == ".ipynb":
        return headings(path)
    found = []
    for heading in (part for text in texts(path) for part in inner(READ(text)) if part["type"] == "heading"):
        title = "".join(part.get("raw", "") for part in inner(heading["children"]))
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        same = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.append(f"{slug}-{same}" if same else slug)
    return found


# ---- What is wrong with it -------------------------------------------------------------------------------------------


def wrong_address(address):
    parts = urlsplit(address)
    if parts.scheme != "https" or not HOST.fullmatch(parts.netloc):
        return "is not an address as https://host/..."
    return "holds a placeholder" if PLACEHOLDER.search(OURS.sub("", address)) else None


def wrong_link(page, link):
    """What is wrong with a link on a page, in words, or None."""
    if re.match(r"\w+:|//", link):
        return wrong_address(link)
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return "leads to no file"
    return "leads to no heading" if anchor and anchor not in anchors(target) else None


def wrong_in(page, text):
    """What is wrong with the links of a text on a page, and with the addresses that merely stand in it."""
    bare = re.findall(r"https?://[^\s)\]\"'`]+", text)
    found = [(link, wrong_link(page, link)) for link in links(text)] + [(address, wrong_address(address)) for address in bare]
    return [f"{link} {wrong}" for link, wrong in found if wrong]


# ---- The tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links(page):
    assert not [wrong for text in texts(page) for wrong in wrong_in(page, text)]


def test_these_pages_are_looked_at():
    named = {path.relative_to(ROOT).as_posix() for path in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "data/README.md", "notebooks/PREREQUISITES.md", "notebooks/01_activations.ipynb"} <= named


@pytest.mark.parametrize("text", [
    "[the licence](LICENSE), [a folder](tests/benchmarks), ![a picture](data/pictures/one_idea.webp), <img src='data/pictures/quiz.webp'>",
    "[a heading](#index-of-techniques), [of another page](data/README.md#model-card-coursenet)",
    "| a table |\n|---|\n| [a notebook](notebooks/01_activations.ipynb#1.5-First-layer-filters:-what-does-it-look-for?) |",
    "[a site](https://docs.python.org/3/), https://github.com/ORG/REPO, [ours](https://mybinder.org/v2/gh/ORG/REPO/HEAD?urlpath=lab)",
])
def test_what_leads_somewhere_passes(text):
    assert wrong_in(ROOT / "README.md", text) == []


@pytest.mark.parametrize("text, wrong", [
    ("[a](nothing.md)", "leads to no file"),
    ("![a](data/pictures/nothing.webp)", "leads to no file"),
    ("<a href='nothing.md'>a</a>", "leads to no file"),
    ("| a |\n|---|\n| [a](nothing.md) |", "leads to no file"),
    ("[a](../elsewhere)", "leads to no file"),
    ("[a](#nothing)", "leads to no heading"),
    ("[a](data/README.md#Model-card:-CourseNet)", "leads to no heading"),
    ("[a](notebooks/01_activations.ipynb#15-first-layer-filters)", "leads to no heading"),
    ("[a](http://docs.python.org/3/)", "is not an address"),
    ("[a](https://)", "is not an address"),
    ("[a](https://localhost/a)", "is not an address"),
    ("[a](ftp://host.org/a)", "is not an address"),
    ("git clone http://github.com/ORG/REPO", "is not an address"),
    ("[a](https://example.com/course)", "holds a placeholder"),
    ("[a](https://github.com/USER/course)", "holds a placeholder"),
    ("https://github.com/your-name/course", "holds a placeholder"),
    ("https://github.com/<name>/course", "holds a placeholder"),
    ("https://docs.python.org/...", "holds a placeholder"),
    ("https://gitlab.com/ORG/REPO", "holds a placeholder"),
])
def test_what_leads_nowhere_is_found(text, wrong):
    found = wrong_in(ROOT / "README.md", text)
    assert found and all(wrong in complaint for complaint in found)


def test_the_ids_of_headings_are_those_of_github(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A b: *c*, `d_e`?\n\n## Two\n\ntext\n\n## Two\n\n```\n# no heading\n```\n\nTitle 1 × 2\n---\n", encoding="utf-8")
    assert anchors(page) == ["a-b-c-d_e", "two", "two-1", "title-1--2"]
