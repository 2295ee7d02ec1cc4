"""Build the web site of the course from the stored outputs of its notebooks; nothing is executed.

It needs no network, neither to build nor to read. The first use of each term of the glossary on a
notebook's page becomes a link to it.
"""

import argparse
import re
import shutil
import sys
import tomllib
from importlib.util import find_spec
from operator import methodcaller
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from docutils.nodes import container, image
from sphinx.application import Sphinx

from badges import repository
from notebooks import NOTEBOOKS, ROOT, drop_stills

MATHJAX = Path(find_spec("jupyter_server_mathjax").origin).parent / "static"
GLOSSARY = (NOTEBOOKS / "GLOSSARY.md").read_text(encoding="utf-8")
TERMS = {name.lower(): name for name in re.findall(r"^### (.+)", GLOSSARY, re.M)}
NOT_PROSE = (r"^## References.*|^```.*?^```|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$|!?\[[^\]]*\]\([^)]*\)"
             r"|^#+ [^\n]*|<summary>.*?</summary>|<[^>]*>")
LONGEST_FIRST = "|".join(map(re.escape, sorted(TERMS, key=len, reverse=True)))
WORD = re.compile(rf"{NOT_PROSE}|(?<![\w-])(?P<term>{LONGEST_FIRST})s?(?![\w-])",
                  re.M | re.S | re.I)
README = (ROOT / "README.md").read_text(encoding="utf-8")
GITHUB = f"https://github.com/{repository(README)}"
BADGES = re.compile("<!-- badges -->.*<!-- /badges -->", re.S)
ELSEWHERE = re.compile(r"\]\((?:\.\./)*([\w/]+\.py|CITATION\.cff|LICENSE)\)")
PAGES = ("*.md", "data/*.md", "notebooks/*.md", "notebooks/*.ipynb")
SHEET = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def link_terms(text, linked):
    """Link the first use of each term to the glossary; `linked` has those of earlier cells."""
    def link(match):
        name = TERMS.get((match["term"] or "").lower())
        if name in linked | {None}:
            return match[0]
        linked.add(name)
        return f"[{match[0]}](GLOSSARY.md#{name.replace(' ', '-')})"

    return WORD.sub(link, text)


def prepare(notebook):
    """Link terms; leave out the stills of widgets and the invisible pictures in captions."""
    linked = set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = link_terms(cell.source, linked)
            continue
        drop_stills(cell)
        for output in cell.outputs:
            forms = output.get("data", {})
            if "text/markdown" in forms:
                forms["text/markdown"] = re.sub("<img [^>]*>", "", forms["text/markdown"])


def describe(app, doctree):
    """Take the description of a figure, which is the text of the same output, as its alt text."""
    for output in doctree.findall(container):
        if output.get("nb_element") == "mime_bundle":
            for figure in output.findall(image):
                figure["alt"] = output.astext().strip()


def copy_pages(source):
    """Copy the pages and the home page's pictures, at the same paths, for links between them."""
    for path in [path for pattern in PAGES for path in ROOT.glob(pattern)]:
        text = path.read_text(encoding="utf-8")
        text = ELSEWHERE.sub(rf"]({GITHUB}/blob/HEAD/\1)", text)
        if path.suffix == ".ipynb":
            notebook = nbformat.reads(text, as_version=4)
            prepare(notebook)
            text = nbformat.writes(notebook)
        if path == ROOT / "README.md":
            text = BADGES.sub(SHEET["start"], text) + SHEET["menu"]
            path = ROOT / "index.md"
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "data/pictures", source / "data/pictures")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", default=Path("build/site"))
    folder = parser.parse_args(argv).folder
    config = SHEET["sphinx"]
    config["html_theme_options"]["repository_url"] = GITHUB
    config["html_static_path"] = [str(MATHJAX), str(NOTEBOOKS / "site.css")]
    config["myst_heading_slug_func"] = methodcaller("replace", " ", "-")     # as in JupyterLab
    with TemporaryDirectory() as temporary:
        pages, doctrees, html = (Path(temporary) / name for name in ("pages", "doctrees", "html"))
        copy_pages(pages)
        app = Sphinx(pages, None, html, doctrees, "html", config, None, warningiserror=True)
        app.connect("doctree-read", describe)
        app.build()
        shutil.copytree(html, folder, dirs_exist_ok=True)
    print(folder / "index.html")
    return app.statuscode


if __name__ == "__main__":
    sys.exit(main())
