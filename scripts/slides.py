"""Write the lecture's slides: DIR/deck.ipynb, live in JupyterLab, and DIR/deck.html for offline.

The slides are cells of the four notebooks. A cell's metadata says that it is one, in `slideshow` as
in JupyterLab, and `lecture` has its minutes, its notes, and perhaps a level: a slide with ++, or in
a lecture of 50 minutes with +, is below the one before it. A title is CSS, where jupyterlab-fonts
finds it. notebooks/slides.css styles them, and notebooks/slides.j2 is the template.
"""

import argparse
import dis
import html
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import CodeType

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from notebooks import NOTEBOOKS, drop_stills, find

TITLE = """# Visualizing and understanding

A method is a scalar function of an image, plus what you do with it. Occlude part of the image and
evaluate it again; differentiate it; follow its derivative."""
NOTES = ("Say the one idea: what is the scalar, and what do we do with it? Introduce the networks. "
         "effnet knows ImageNet's 1,000 classes. coursenet is a small AlexNet for 64 pixels. "
         "robust has the same layers, and was trained on images that were changed to mislead it.")
PLACE = """import os

from helpers.figures import NOTEBOOKS

os.chdir(NOTEBOOKS)     # the cells read files from there"""
FONTS = "@deathbeds/jupyterlab-fonts"
PARTS = {       # of installed packages: reveal.js and MathJax
    "reveal": ("sphinx_revealjs", "_static/revealjs"),
    "mathjax": ("jupyter_server_mathjax", "static"),
}
UNUSED = shutil.ignore_patterns("*.map", "*.esm.js", "theme", "highlight", "markdown", "math",
                                "search", "otf")


def is_slide(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type") in ("slide", "subslide")


def names(code):
    """Return the names that compiled code stores and those that it loads."""
    stored, loaded = set(), set()
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            stored.add(step.argval)
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            loaded.add(step.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            loaded |= names(part)[1]
    return stored, loaded


def with_code(cells):
    """Keep the slides, and the code cells that compute what they use."""
    kept = []
    wanted = set()
    for cell in reversed(cells):
        stored, loaded = set(), set()
        if cell.cell_type == "code":
            source = TransformerManager().transform_cell(cell.source)   # without magic commands
            stored, loaded = names(compile(source, "cell", "exec"))
        if is_slide(cell) or stored & wanted:
            kept.insert(0, cell)
            wanted = wanted - stored | loaded
    return kept


def title_of(cell):
    """Read a slide's title, a string of CSS in the cell's metadata; "" if none."""
    styles = cell.metadata.get(FONTS, {}).get("styles", {}).get(":root", {})
    return html.escape(json.loads(styles.get("--title", '""')))


def offline(slides):
    """List the cells of the offline deck: slides with notes, and without the stills of widgets."""
    cells = []
    for cell in slides:
        cell.metadata.title = title_of(cell)
        if cell.cell_type == "code":
            drop_stills(cell)
        notes = {"slideshow": {"slide_type": "notes"}}
        cells += [cell, new_markdown_cell(cell.metadata.lecture.notes, metadata=notes)]
    return cells


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", default=Path("build/slides"))
    parser.add_argument("--short", action="store_true", help="for 50 minutes")
    args = parser.parse_args(argv)
    for name, (package, part) in PARTS.items():
        source = Path(find_spec(package).origin).parent / part
        shutil.copytree(source, args.folder / name, dirs_exist_ok=True, ignore=UNUSED)
    shutil.copy(NOTEBOOKS / "slides.css", args.folder)
    below = ["+", "++"] if args.short else ["++"]
    title = {"slideshow": {"slide_type": "slide"}, "lecture": {"minutes": 2.5, "notes": NOTES}}
    skip = {"slideshow": {"slide_type": "skip"}}
    live = [new_markdown_cell(TITLE, metadata=title), new_code_cell(PLACE, metadata=skip)]
    for path in find(["01", "02", "03", "04"]):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            cell.id = f"{path.stem[:2]}-{cell.id}"
            if cell.metadata.get("lecture", {}).get("level") in below:
                cell.metadata.slideshow.slide_type = "subslide"
        live += with_code(notebook.cells)
    nbformat.write(new_notebook(cells=live, metadata=notebook.metadata), args.folder / "deck.ipynb")
    slides = [cell for cell in live if is_slide(cell)]
    total = 0
    for number, cell in enumerate(slides, 1):
        lecture = cell.metadata.lecture
        if cell.metadata.slideshow.slide_type == "slide":
            total += lecture.minutes
        level = lecture.get("level", "")
        print(f"{number:3} {level:2} {lecture.minutes:3g} min, until {total:4g}  {lecture.notes}")
    template = (NOTEBOOKS / "slides.j2").read_text(encoding="utf-8")
    exporter = SlidesExporter(raw_template=template, reveal_url_prefix="reveal")
    deck = new_notebook(cells=offline(slides), metadata=notebook.metadata)
    page, _ = exporter.from_notebook_node(deck, {"metadata": {"name": "Lecture 14"}})
    (args.folder / "deck.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
