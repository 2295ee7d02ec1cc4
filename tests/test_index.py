"""The README's index of techniques: each topic of the lecture is in it, each function exists, each link leads to a heading."""

import importlib
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
TABLE = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- index -->")[1].split("<!-- /index -->")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()[2:]]
LECTURE = ["First-layer filters", "Higher-layer filters", "Nearest neighbours", "PCA", "t-SNE", "Activation maps",
           "Maximally activating patches", "Saliency by occlusion", "Saliency by backprop", "Segmentation without supervision",
           "Guided backprop", "Gradient ascent", "Regularisers", "Adversarial examples", "Feature inversion", "DeepDream",
           "Texture by nearest neighbours", "Texture from Gram matrices", "Neural style transfer", "Fast neural style transfer",
           "Instance norm"]


def headings(path):
    """The ids of a notebook's headings, as JupyterLab and nbconvert make them: spaces become dashes."""
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return {heading.strip().replace(" ", "-") for text in texts for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("topic", LECTURE)
def test_each_topic_of_the_lecture_is_in_it_and_has_a_heading_that_begins_with_it(topic):
    row = next(row for row in ROWS if topic.lower() in row[0].lower())
    _, notebook, anchor = re.fullmatch(r"\[([\d.]+)\]\((notebooks/\w+\.ipynb)#(.+)\)", row[2]).groups()
    heading = re.sub(r"^[\d.]+-", "", anchor).replace("-", " ").lower()
    first = re.split(r"[:,]", heading)[0]
    assert topic.lower().replace("-", " ") in first or first in row[0].lower().replace("-", " "), heading


@pytest.mark.parametrize("technique, functions, section, paper", ROWS, ids=[row[0] for row in ROWS])
def test_each_function_exists_and_each_link_leads_to_a_heading(technique, functions, section, paper):
    for names, path in re.findall(r"\[([^\]]+)\]\((helpers/[\w/]+)\.py\)", functions):
        module = importlib.import_module(path.replace("/", "."))
        assert [name for name in re.findall(r"`(\w+)`", names) if not hasattr(module, name)] == []
    notebook, anchor = re.fullmatch(r"\[[\d.]+\]\((.+?)#(.+)\)", section).groups()
    assert anchor in headings(ROOT / notebook)
