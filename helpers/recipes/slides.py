"""The notebooks as a lecture: slides as files that open without a network, and their notes as a list:  python3 run.py slides [DIR]

A cell's metadata says what it is on a slide: `slideshow.slide_type` as JupyterLab and nbconvert have it, `lecture` (minutes and
notes, where a slide begins), `tags`, and a title or a sentence of the slide as CSS, where jupyterlab-fonts finds them. The stylesheet
notebooks/slides.css says what is shown of it, in JupyterLab's deck mode and here alike. reveal.js and MathJax come from two wheels
of the extra `lecture`.
"""

import argparse
import html
import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat.v4 import new_markdown_cell

from helpers.files import write_text
from helpers.recipes.notebooks import STILL

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
FONTS = "@deathbeds/jupyterlab-fonts"
BESIDE = {"reveal": ("sphinx_revealjs", "_static/revealjs"), "mathjax": ("jupyter_server_mathjax", "static")}
UNUSED = shutil.ignore_patterns("*.map", "*.esm.js", "theme", "highlight", "markdown", "math", "search", "zoom", "otf")
TEMPLATE = """\
{%- extends "reveal/index.html.j2" -%}
{%- block header -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ resources.metadata.name }}: slides</title>
{{ resources.include_css("static/theme-light.css") }}
{% for css in resources.inlining.css %}<style>{{ css }}</style>{% endfor %}
<link rel="stylesheet" href="reveal/dist/reveal.css">
<link rel="stylesheet" href="slides.css">
<script type="text/x-mathjax-config">
MathJax.Hub.Config({tex2jax: {inlineMath: [["$", "$"]], processEscapes: true}, messageStyle: "none", showMathMenu: false,
  "HTML-CSS": {availableFonts: [], webFont: "STIX-Web", preferredFont: null, imageFont: null}});
</script>
<script src="mathjax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full"></script>
</head>
{%- endblock -%}
{%- macro wrapped(cell, inside) -%}
<div data-jpf-cell-id="{{ cell.id }}" data-jpf-cell-tags=",{{ cell.metadata.get("tags", []) | join(",") }},">
{% if cell.metadata.title %}<h2 class="slide-title">{{ cell.metadata.title }}</h2>{% endif %}
{{ inside }}
{% if cell.metadata.text %}<p class="slide-text">{{ cell.metadata.text }}</p>{% endif %}
</div>
{%- endmacro -%}
{%- block codecell scoped -%}{{ wrapped(cell, super()) }}{%- endblock -%}
{%- block markdowncell scoped -%}{{ wrapped(cell, super()) }}{%- endblock -%}
{%- block footer_js -%}
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({width: 1280, height: 720, margin: 0, center: false, controls: false, hash: true, slideNumber: "c/t",
  transition: "none", plugins: [RevealNotes]});
</script>
{%- endblock -%}
"""


def lectures():
    """The notebooks that are lectured from: those that ask for the stylesheet of slides."""
    return [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if FONTS in nbformat.read(path, as_version=4).metadata]


def slide_type(cell):
    """What a cell is in the lecture: "slide", "fragment", "skip", "notes", or None where it goes on with the slide before it."""
    return cell.metadata.get("slideshow", {}).get("slide_type")


def words(cell, name):
    """A slide's `title` or `text`, which the cell's metadata holds as a string of CSS; "" where there is none."""
    return json.loads(cell.metadata.get(FONTS, {}).get("styles", {}).get(":root", {}).get(f"--{name}", '""'))


def slides(notebook):
    """The cells of each slide: [[cell, ...], ...]."""
    found = []
    for cell in notebook.cells:
        if slide_type(cell) == "slide":
            found.append([cell])
        elif slide_type(cell) in ("fragment", None) and found:
            found[-1].append(cell)
    return found


def title(slide):
    """A slide's title: that of its metadata, or its first heading."""
    headings = re.findall(r"^#{1,3} (.+)$", slide[0].source, re.M) if slide[0].cell_type == "markdown" else []
    return words(slide[0], "title") or (headings[0] if headings else "")


def credits_of(slide):
    """The credits of a slide's pictures, in order, each once: ["Photograph: ...", ...]."""
    outputs = [output.get("data", {}).get("text/html", "") for cell in slide for output in cell.get("outputs", [])]
    return list(dict.fromkeys(credit for text in outputs for credit in re.findall(r"<br><small>(.*?)</small></div>", text, re.S)
                              if "above" not in credit))


def deck(notebook):
    """A notebook of the slides alone, as nbconvert takes it: titles, sentences and notes in place, and the credits on a last slide."""
    cells, shown = [], slides(notebook)
    for slide in shown:
        for cell in slide:
            cell = nbformat.from_dict(cell)
            cell.metadata.update({name: html.escape(words(cell, name)) for name in ("title", "text") if words(cell, name)})
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if output.get("data", {}).get("text/plain") != STILL]
            cells.append(cell)
            if cell.metadata.get("lecture"):
                cells.append(new_markdown_cell(told(cell), metadata={"slideshow": {"slide_type": "notes"}}))
    pictures = dict.fromkeys(credit for slide in shown for credit in credits_of(slide))
    last = new_markdown_cell("\n\n".join(["## Pictures", *pictures]), metadata={"slideshow": {"slide_type": "slide"}, "tags": ["all"]})
    return nbformat.v4.new_notebook(cells=[*cells, last], metadata=notebook.metadata)


def told(cell):
    """The notes of the slide that a cell begins: "2 minutes. ..." """
    minutes = cell.metadata.lecture.minutes
    return f"{minutes:g} minute{'s' * (minutes != 1)}. {cell.metadata.lecture.notes}"


def write(folder, paths):
    """Writes the notebooks' slides to a folder, with all that they need beside them; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (package, inside) in BESIDE.items():
        found = find_spec(package)
        if not found:
            raise SystemExit(f"{package} is missing, from which {name} comes. Try: pip install -e .[lecture]")
        shutil.copytree(Path(found.origin).parent / inside, folder / name, dirs_exist_ok=True, ignore=UNUSED)
    shutil.copy(NOTEBOOKS / "slides.css", folder)
    exporter = SlidesExporter(raw_template=TEMPLATE, reveal_url_prefix="reveal")
    written = []
    for path in paths:
        body, _ = exporter.from_notebook_node(deck(nbformat.read(path, as_version=4)), {"metadata": {"name": path.stem}})
        written.append(folder / f"{path.stem}.html")
        write_text(written[-1], body)
    return written


def main(args=None):
    parser = argparse.ArgumentParser(prog="python3 run.py slides", description=__doc__.split(":  ")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "slides", metavar="DIR", help="default: build/slides")
    parser.add_argument("--notes", action="store_true", help="lists the slides, their minutes and notes, and writes nothing")
    options = parser.parse_args(args)
    paths = lectures()
    if options.notes:
        for path in paths:
            shown = slides(nbformat.read(path, as_version=4))
            print(f"\n{path.stem}: {len(shown)} slides, {sum(slide[0].metadata.lecture.minutes for slide in shown):g} minutes")
            for number, slide in enumerate(shown, 1):
                print(f"{number:3}  {title(slide)}\n     {told(slide[0])}")
    else:
        print("Open:", *write(options.folder, paths), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
