"""The notebooks as a lecture: what is on which slide, for how long, with which notes; and the files that are written of them."""

import html
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.recipes import slides

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = slides.lectures()
STYLE = (ROOT / "notebooks/slides.css").read_text(encoding="utf-8")
LECTURE = (ROOT / "notebooks/LECTURE.md").read_text(encoding="utf-8")
# None goes on with the slide before; "-", which nbconvert also knows, would never be shown by jupyterlab-slideshow.
TYPES = {"slide", "fragment", "skip", None}
TOPICS = ["First-layer filters", "Higher-layer filters", "Nearest neighbours in feature space", "PCA and t-SNE", "Activation maps",
          "Maximally activating patches", "Saliency by occlusion", "Saliency by backprop", "Evaluation of heat maps",
          "Segmentation without supervision", "Guided backprop", "Grad-CAM", "Gradient ascent", "Adversarial examples", "Feature inversion",
          "DeepDream", "Texture by nearest neighbours", "Texture from Gram matrices", "Neural style transfer",
          "Fast neural style transfer", "Instance norm", "Conditional instance norm", "Integrated gradients", "league table", "detective",
          "map of methods"]
LINES, WIDTH = 20, 95       # of a slide at 20 pixels: lines, and characters in one


def read(path):
    return nbformat.read(path, as_version=4)


def all_slides():
    return [(path.stem, number, slide) for path in NOTEBOOKS for number, slide in enumerate(slides.slides(read(path)), 1)]


SLIDES = [pytest.param(slide, id=f"{name}-{number}") for name, number, slide in all_slides()]


# ---- The lecture -----------------------------------------------------------------------------------------------------


def test_the_four_notebooks_of_the_course_are_lectured_from():
    assert [path.stem for path in NOTEBOOKS] == ["01_activations", "02_gradients", "03_fun", "04_summary"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_says_what_it_is_on_a_slide(path):
    notebook = read(path)
    silent = [cell.id for cell in notebook.cells if "slide_type" not in cell.metadata.get("slideshow", {})]
    assert not silent, 'these cells say nothing: give them {"slideshow": {"slide_type": "skip"}}'
    assert {slides.slide_type(cell) for cell in notebook.cells} <= TYPES
    assert slides.slide_type(notebook.cells[0]) == "slide"
    assert notebook.metadata[slides.FONTS] == {"styles": {"@import": "url('./slides.css')"}}


def test_the_lecture_takes_75_minutes_and_its_page_says_so():
    minutes = {path.stem: sum(slide[0].metadata.lecture.minutes for slide in slides.slides(read(path))) for path in NOTEBOOKS}
    assert sum(minutes.values()) == 75 and 50 <= len(SLIDES) <= 65
    for path in NOTEBOOKS:
        assert f"| `{path.stem}` | {len(slides.slides(read(path)))} | {minutes[path.stem]:g} |" in LECTURE


@pytest.mark.parametrize("slide", SLIDES)
def test_a_slide_has_a_title_a_time_and_notes(slide):
    first, *others = slide
    assert slides.title(slide) and 0 < first.metadata.lecture.minutes <= 3
    assert 1 <= len(re.findall(r"[.?!](?: |$)", first.metadata.lecture.notes)) <= 3
    assert not any("lecture" in cell.metadata for cell in others)


def test_each_topic_is_on_a_slide():
    titles = "\n".join(slides.title(slide) for _, _, slide in all_slides())
    assert not [topic for topic in TOPICS if topic not in titles]


@pytest.mark.parametrize("slide", SLIDES)
def test_a_slide_holds_little(slide):
    """Lines of all that is printed, written or asked on it; formulas and pictures are for the browser to measure."""
    shown = []
    for cell in slide:
        tags = cell.metadata.get("tags", [])
        shown += [line for name in ("title", "text") for line in [slides.words(cell, name)] if line]
        if cell.cell_type == "markdown":
            shown += re.findall(r"^(?:#|>) ?(.+)$", cell.source, re.M)
        else:
            shown += cell.source.splitlines() if "code" in tags else []
            printed = [output.get("text", "") for output in cell.outputs] if "picture" not in tags else []
            assert all(len(line) <= WIDTH + 8 for text in printed for line in text.splitlines())
            shown += "".join(printed).splitlines()
    assert sum(-(-len(line) // WIDTH) for line in shown) <= LINES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_in_the_words_of_a_slide_are_those_of_the_notebook(path):
    notebook = read(path)
    words = " ".join(slides.words(cell, "text") for cell in notebook.cells)
    printed = "\n".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert not [figure for figure in re.findall(r"\d+ of \d+|\d+\.\d+", words) if figure not in printed]


def test_tags_of_slides_are_known_to_the_stylesheet():
    known = set(re.findall(r'data-jpf-cell-tags\*=",(\w+),"', STYLE))
    used = {tag for _, _, slide in all_slides() for cell in slide for tag in cell.metadata.get("tags", [])}
    assert used - known == {"nbval-check-output"} & used
    assert not re.search(r"url\(|@import", STYLE), "the stylesheet asks for nothing more"


def test_notes_are_listed(capsys):
    assert not slides.main(["--notes"])
    told = capsys.readouterr().out
    assert "02_gradients: " in told and told.count(" minute") >= len(SLIDES)
    assert all(slide[0].metadata.lecture.notes in told for _, _, slide in all_slides())


# ---- The files -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    written = tmp_path_factory.mktemp("slides")
    assert slides.main([str(written)]) is None
    return written


def attributes(text):
    """What a page loads: the src and href of its scripts, stylesheets and pictures."""
    tags = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", text)
    return [found for tag in tags for found in re.findall(r"""\b(?:src|href)=["']([^"']*)["']""", tag) if not found.startswith("data:")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_file_needs_nothing_but_what_lies_beside_it(folder, path):
    text = (folder / f"{path.stem}.html").read_text(encoding="utf-8")
    loaded = attributes(text)
    assert {"slides.css", "reveal/dist/reveal.js", "reveal/plugin/notes/notes.js"} <= set(loaded)
    for name in loaded:
        assert (folder / name.partition("?")[0]).is_file(), name
    assert not re.search(r"@import|\bimport .* from|require\(|url\(['\"]?(?!data:)[^)]*//", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notes_and_slides_are_in_a_file(folder, path):
    text, shown = (folder / f"{path.stem}.html").read_text(encoding="utf-8"), slides.slides(read(path))
    sections = len(re.findall(r"<section[^>]*>\s*<section", text))
    assert text.count('<aside class="notes">') == len(shown) == sections - 1     # the last has the pictures' credits
    assert slides.STILL not in text
    plain = html.unescape(text)
    for slide in shown:
        assert slides.title(slide) in plain and slides.told(slide[0])[:30] in plain


def test_a_small_notebook_becomes_slides():
    def cell(kind, source, of, tags=(), **metadata):
        make = new_markdown_cell if kind == "text" else new_code_cell
        return make(source, metadata={"slideshow": {"slide_type": of}, "tags": list(tags), **metadata})

    lecture = {"lecture": {"minutes": 1, "notes": "Ask <b>why</b>."}}
    words = {slides.FONTS: {"styles": {":root": {"--title": '"A \\"picture\\" & more"'}}}}
    picture = new_output("execute_result", {"text/html": '<div><img alt="A cat" src="data:,"><br><small>A cat: Ada, CC0.</small></div>'})
    widget = new_output("display_data", {"text/plain": slides.STILL})
    code = cell("code", "x", "slide", **lecture, **words)
    code.outputs = [picture, widget]
    cells = [cell("text", "## First\n\nProse.", "slide", **lecture), cell("code", "skipped()", "skip"), cell("code", "y", None), code]
    first, second = slides.slides(new_notebook(cells=cells))
    assert [len(first), len(second)] == [2, 1]
    assert [slides.title(first), slides.title(second)] == ["First", 'A "picture" & more']
    assert slides.credits_of(second) == ["A cat: Ada, CC0."]
    made = slides.deck(new_notebook(cells=cells)).cells
    assert [slides.slide_type(c) for c in made] == ["slide", "notes", None, "slide", "notes", "slide"]
    assert made[1].source == "1 minute. Ask <b>why</b>." and made[3].metadata.title == "A &quot;picture&quot; &amp; more"
    assert len(made[3].outputs) == 1 and "A cat: Ada, CC0." in made[-1].source
    assert len(code.outputs) == 2, "the notebook itself stays as it is"


@pytest.mark.parametrize("row", re.findall(r"^\|.*\| (\d\.\d+) \| (\d\d), (\d+) \|", LECTURE, re.M), ids=", ".join)
def test_the_map_of_the_lecture_leads_to_the_right_slides(row):
    section, name, number = row
    path, = (path for path in NOTEBOOKS if path.stem.startswith(name))
    notebook = read(path)
    last, = slides.slides(notebook)[int(number) - 1][-1:]
    before = "\n".join(cell.source for cell in notebook.cells[:notebook.cells.index(last) + 1] if cell.cell_type == "markdown")
    assert re.findall(r"^## (\d\.\d+) ", before, re.M)[-1] == section
