"""The design's rules on how a notebook is written, held on every notebook; that they run is nbval's business."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import groupby, takewhile
from pathlib import Path
from statistics import median

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FOLDERS = "home|root|Users|tmp|private|var|mnt|media|usr|opt|srv|workspace|content"
PATHS = re.compile(rf"(?<![\w.~])/(?:{FOLDERS})/[\w.-]+|\b[A-Z]:\\\w|site-packages")
ON_COLAB = "/content/course"  # where a notebook puts the project on Colab, the same for everyone
EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")


# ---- What the rules look at ------------------------------------------------------------------------------------------


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def name(cell):
    return f"the cell that begins {cell.source[:40]!r}"


def texts(output):
    """Everything in an output that is text, pictures embedded in it left out."""
    parts = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", []), *output.get("data", {}).values()]
    return EMBEDDED.sub("", "\n".join(map(str, parts)))


def images(html):
    """The attributes of every <img> in a piece of HTML."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag == "img":
                found.append(dict(attributes))

    Parser().feed(EMBEDDED.sub("data:", html))
    return found


# ---- The rules: each yields what is wrong ----------------------------------------------------------------------------


def cells_are_short(notebook):
    sizes = [lines(cell) for cell in code_cells(notebook)]
    if median(sizes) > 6:
        yield f"the median code cell has {median(sizes)} lines, more than 6"
    yield from (f"{name(cell)} has {lines(cell)} lines, more than 25" for cell in code_cells(notebook) if lines(cell) > 25)


def set_up_is_short(notebook):
    """The set-up is the code before the first prose that follows some code."""
    start = next(place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    for cell in takewhile(lambda cell: cell.cell_type == "code", notebook.cells[start:]):
        if lines(cell) > 8:
            yield f"{name(cell)} is set-up and has {lines(cell)} lines, more than 8"


def prose_comes_between(notebook):
    for kind, run in groupby(notebook.cells, key=lambda cell: cell.cell_type):
        cells = list(run)
        if kind == "code" and len(cells) > 3:
            yield f"{len(cells)} code cells in a row, more than 3, from {name(cells[0])}"


def outputs_are_stored(notebook):
    for cell in code_cells(notebook):
        if cell.execution_count is None:
            yield f"{name(cell)} was not executed: `python3 run.py notebooks --inplace`"
        if any(output.output_type == "error" for output in cell.outputs):
            yield f"{name(cell)} ended in an error"


def only_outputs_are_stored(notebook):
    """A widget's state and the time of an execution change with every run, and tell a reader nothing."""
    if "widgets" in notebook.metadata:
        yield "the state of widgets is stored: `python3 run.py notebooks --inplace` leaves it out"
    yield from (f"{name(cell)} stores when it ran" for cell in notebook.cells if "execution" in cell.metadata)


def pictures_have_alt_text(notebook):
    for cell in notebook.cells:
        pieces = [output.get("data", {}).get("text/html", "") for output in cell.get("outputs", [])]
        if cell.cell_type == "markdown":
            pieces = [re.sub(r"!\[\s*\]\(", "<img>", cell.source)]
        if any(not (image.get("alt") or "").strip() for piece in pieces for image in images(piece)):
            yield f"a picture without alt text, from {name(cell)}"


def pictures_are_html(notebook):
    """JupyterLab does not show the alt text that a raw picture has in its metadata, but <img alt=...> it does."""
    for cell in code_cells(notebook):
        if any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
            yield f"{name(cell)} shows a raw picture: give it alt text, with helpers.show"


def nothing_tells_of_a_machine(notebook):
    for cell in notebook.cells:
        for text in [EMBEDDED.sub("", cell.source), *map(texts, cell.get("outputs", []))]:
            for path in {found[0] for found in PATHS.finditer(text)} - {ON_COLAB}:
                yield f"{path!r}, a place on someone's machine, in {name(cell)}"
            if str(ROOT) in text or str(Path.home()) in text.replace(ON_COLAB, ""):
                yield f"a folder of this machine, in {name(cell)}"


RULES = [
    cells_are_short,
    set_up_is_short,
    prose_comes_between,
    outputs_are_stored,
    only_outputs_are_stored,
    pictures_have_alt_text,
    pictures_are_html,
    nothing_tells_of_a_machine,
]


# ---- The tests -------------------------------------------------------------------------------------------------------


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, path):
    complaints = list(rule(nbformat.read(path, as_version=4)))
    assert not complaints, "\n".join([path.name, *complaints])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_size(path):
    assert path.stat().st_size <= 4_000_000


# ---- On Colab --------------------------------------------------------------------------------------------------------


def start_on_colab(path, folder, repository, after="", **environment):
    """Runs a notebook's first code cell in a process, with google.colab there, /content in a folder, and this repository's address."""
    cell, = [cell.source for cell in code_cells(nbformat.read(path, as_version=4)) if "google.colab" in cell.source]
    cell = re.sub(r"(https://github\.com/)[\w.-]+/[\w.-]+", rf"\g<1>{repository}", cell).replace("/content", folder.as_posix())
    code = f"import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n{cell}\n{after}"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=os.environ | environment, capture_output=True, text=True)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="there is no repository to clone")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_colab_cell_fetches_the_course_and_works_in_its_folder(path, tmp_path):
    """With git pointed at this repository, and with any address that `run.py badges` may have filled in."""
    address = "https://github.com/octocat/course"
    elsewhere = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{ROOT.as_posix()}.insteadOf", "GIT_CONFIG_VALUE_0": address}
    for _ in range(2):          # the second time it is there already
        after = "import helpers; print(os.getcwd()); print(helpers.__file__)"
        done = start_on_colab(path, tmp_path, "octocat/course", after, **elsewhere)
        course, found = tmp_path / "course", [Path(line) for line in done.stdout.splitlines()]
        assert found == [course / "notebooks", course / "helpers" / "__init__.py"], done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_without_an_address_the_colab_cell_says_what_to_do_and_fetches_nothing(path, tmp_path):
    done = start_on_colab(path, tmp_path, "ORG/REPO", PATH=os.devnull)
    assert done.stderr.splitlines()[-1].startswith("AssertionError: Replace ORG/REPO above by the repository's owner/name")
    assert not list(tmp_path.iterdir())


# ---- The rules find what is wrong ------------------------------------------------------------------------------------


def cell_with(kind, data=None, **fields):
    return new_code_cell("show()", execution_count=1, outputs=[new_output(kind, data, **fields)])


def shown(mime, data):
    return cell_with("display_data", {mime: data})


def code(length, count=1):
    return new_code_cell("\n".join(["x = 1"] * length), execution_count=count)


def notebook_of(cells):
    return new_notebook(cells=[nbformat.from_dict({**cell, "id": str(place)}) for place, cell in enumerate(cells)])


PROSE = new_markdown_cell("Prose.")
GOOD = [
    PROSE,
    code(8),
    PROSE,
    code(25),
    *[code(6)] * 2,
    new_markdown_cell('![A tabby cat](cat.png) <img src="cat.png" alt="A tabby cat"> https://example.org/home/page'),
    shown("text/html", '<img alt="A tabby cat" src="data:image/png;base64,iVBOR/tmp/x/home/y">'),
    new_code_cell("sys.path.append('/content/course')", execution_count=4),
]
BAD = [
    (cells_are_short, [*[code(7)] * 2]),
    (cells_are_short, [code(26), *[code(1)] * 2]),
    (set_up_is_short, [PROSE, code(9), PROSE]),
    (set_up_is_short, [PROSE, code(1), code(9), PROSE]),
    (prose_comes_between, [code(1)] * 4),
    (outputs_are_stored, [code(1, count=None)]),
    (outputs_are_stored, [cell_with("error", ename="NameError", evalue="x", traceback=[])]),
    (only_outputs_are_stored, [new_code_cell("x", execution_count=1, metadata={"execution": {"iopub.status.busy": "noon"}})]),
    (pictures_have_alt_text, [shown("text/html", "<p><img src='a.png'></p>")]),
    (pictures_have_alt_text, [shown("text/html", "<img src='a.png' alt=' '>")]),
    (pictures_have_alt_text, [new_markdown_cell("![](a.png)")]),
    (pictures_have_alt_text, [new_markdown_cell("<img src='a.png'>")]),
    (pictures_are_html, [shown("image/png", "iVBORw0KGgo=")]),
    (nothing_tells_of_a_machine, [new_markdown_cell("see /home/ada/course")]),
    (nothing_tells_of_a_machine, [new_code_cell("open('/tmp/x')")]),
    (nothing_tells_of_a_machine, [shown("text/plain", r"C:\Users\ada")]),
    (nothing_tells_of_a_machine, [shown("text/plain", f"<module from {ROOT}/helpers>")]),
    (nothing_tells_of_a_machine, [cell_with("stream", name="stderr", text="/usr/lib/python3/x.py: warning")]),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_lets_a_good_notebook_pass(rule):
    assert list(rule(notebook_of(GOOD))) == []


@pytest.mark.parametrize("rule, cells", BAD, ids=[rule.__name__ for rule, _ in BAD])
def test_rule_finds_what_is_wrong(rule, cells):
    assert list(rule(notebook_of(cells)))


def test_stored_state_is_found():
    assert list(only_outputs_are_stored(new_notebook(cells=GOOD[:1], metadata={"widgets": {}})))
