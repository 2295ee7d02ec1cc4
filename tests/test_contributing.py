"""The pages that explain with code do what they say: CONTRIBUTING.md is followed in a copy of the course, PREREQUISITES.md is run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mistune
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from tests.test_notebooks import cells_are_short, prose_comes_between

ROOT = Path(__file__).resolve().parents[1]
READ = mistune.create_markdown(renderer=None)
NOTEBOOK_HAS = """import torch
from helpers.attribution import input_gradient, saliency
from helpers.images import photos
from helpers.nets import load_net
from helpers.rivals import untrained
from helpers.world.scenes import scenes
net, fresh, cat, world, device = load_net("coursenet"), untrained("coursenet"), photos()["cat"].load(64), scenes(), "cpu"
"""


def fences(name):
    """The fenced code of a page, in its order: (language, code)."""
    page = (ROOT / name).read_text(encoding="utf-8")
    return [(token.get("attrs", {}).get("info", ""), token["raw"]) for token in READ(page) if token["type"] == "block_code"]


def insert(path, before, text):
    """Puts a text before a line of a file."""
    content = path.read_text(encoding="utf-8")
    assert content.count(before) == 1
    path.write_text(content.replace(before, text + before), encoding="utf-8")


def python(folder, *args):
    environment = {**os.environ, "PYTHONPATH": str(folder.parent if folder.name == "notebooks" else folder)}
    done = subprocess.run([sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course with the technique that CONTRIBUTING.md adds; and the section's cells, and the arguments of its tests."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("helpers", "tests", "notebooks", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    languages, codes = zip(*fences("CONTRIBUTING.md"))
    assert languages == ("python", "python", "python", "python", "markdown", "python", "python", "python", "markdown", "")
    module, arrow, call, test, heading, *cells, row, commands = codes
    (folder / "helpers" / "input_x_gradient.py").write_text(module, encoding="utf-8")
    insert(folder / "tests" / "test_architecture.py", '    "segmentation": ANYONE,\n', arrow)
    insert(folder / "tests" / "public.py", '    "inversion.invert": ', call)
    (folder / "tests" / "test_input_x_gradient.py").write_text(test, encoding="utf-8")
    insert(folder / "README.md", "<!-- /index -->", row)
    path = folder / "notebooks" / "01_activations.ipynb"
    notebook = nbformat.read(path, as_version=4)
    before = next(i for i, cell in enumerate(notebook.cells) if "\n## 1.12" in cell.source)
    place = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("### Your turn") and i > before)
    notebook.cells[place:place] = [new_markdown_cell(heading), *map(new_code_cell, cells)]
    nbformat.write(notebook, path)
    first, everything = commands.splitlines()
    assert everything == "python3 run.py test" and first.startswith(everything)
    return folder, cells, first.removeprefix(everything).split()


def test_the_new_technique_passes_the_tests_that_the_page_names(course):
    folder, _, tests = course
    python(folder, "-m", "ruff", "check", "--no-cache", "helpers/input_x_gradient.py", "notebooks", *tests)
    said = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "input_x_gradient or circle or Input or forgotten")
    assert "9 passed" in said, said      # its three, its arrow, no circle, its row, its call and input_gradient's, none forgotten


def test_the_new_section_runs_and_keeps_to_the_rules(course):
    folder, cells, _ = course
    notebook = nbformat.read(folder / "notebooks" / "01_activations.ipynb", as_version=4)
    assert not [*cells_are_short(notebook), *prose_comes_between(notebook)]
    assert max(len(line) for cell in cells for line in cell.splitlines()) <= 100
    assert python(folder / "notebooks", "-c", NOTEBOOK_HAS + "\n".join(cells)).count("\n") == 4


def test_the_answers_of_the_prerequisites_are_right():
    names, answers = {}, [code for language, code in fences("notebooks/PREREQUISITES.md") if language == "python"]
    assert sum("assert" in code for code in answers) == 10
    for code in answers:
        exec(code, names)
