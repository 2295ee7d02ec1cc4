"""Write the notebooks' slides as files that open without a network, and list minutes and notes.

A cell's metadata says what it is on a slide: `slideshow.slide_type` as in JupyterLab, `lecture`
with minutes and notes, and a title or a sentence as CSS, where jupyterlab-fonts finds it.
notebooks/slides.css styles them, in JupyterLab too; notebooks/slides.j2 is the template.
"""

import argparse
import html
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat.v4 import new_markdown_cell, new_notebook

from notebooks import NOTEBOOKS, STILL, find

FONTS = "@deathbeds/jupyterlab-fonts"
PARTS = {       # of installed packages: reveal.js and MathJax
    "reveal": ("sphinx_revealjs", "_static/revealjs"),
    "mathjax": ("jupyter_server_mathjax", "static"),
}
UNUSED = shutil.ignore_patterns("*.map", "*.esm.js", "theme", "highlight", "markdown", "math",
                                "search", "zoom", "otf")


def slides(notebook):
    """Collect the cells of each slide, [[cell, ...], ...]."""
    found = []
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if kind == "slide":
            found.append([cell])
        elif kind in ("fragment", None) and found:
            found[-1].append(cell)
    return found


def css_string(cell, name):
    """Read a slide's `title` or `text`, a string of CSS in the cell's metadata; "" if none."""
    styles = cell.metadata.get(FONTS, {}).get("styles", {}).get(":root", {})
    return html.escape(json.loads(styles.get(f"--{name}", '""')))


def for_slides(cell):
    """Put a slide's title and sentence where the template reads them, and drop widgets' stills."""
    cell.metadata["title"] = css_string(cell, "title")
    cell.metadata["text"] = css_string(cell, "text")
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs
                        if output.get("data", {}).get("text/plain") != STILL]
    return cell


def deck(notebook):
    """Make a notebook of the slides alone, with notes, and print the notes."""
    cells = []
    for number, slide in enumerate(slides(notebook), 1):
        lecture = slide[0].metadata.lecture
        notes = f"{lecture.minutes:g} min. {lecture.notes}"
        print(f"{number:3}  {notes}")
        cells += [for_slides(cell) for cell in slide]
        cells.append(new_markdown_cell(notes, metadata={"slideshow": {"slide_type": "notes"}}))
    return new_notebook(cells=cells, metadata=notebook.metadata)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", default=Path("build/slides"))
    folder = parser.parse_args(argv).folder
    for name, (package, part) in PARTS.items():
        source = Path(find_spec(package).origin).parent / part
        shutil.copytree(source, folder / name, dirs_exist_ok=True, ignore=UNUSED)
    shutil.copy(NOTEBOOKS / "slides.css", folder)
    template = (NOTEBOOKS / "slides.j2").read_text(encoding="utf-8")
    exporter = SlidesExporter(raw_template=template, reveal_url_prefix="reveal")
    for path in find([]):
        notebook = nbformat.read(path, as_version=4)
        if slides(notebook):
            print(f"\n{folder / path.stem}.html")
            resources = {"metadata": {"name": path.stem}}
            body, _ = exporter.from_notebook_node(deck(notebook), resources)
            (folder / f"{path.stem}.html").write_text(body, encoding="utf-8")


if __name__ == "__main__":
    main()
