"""The index of techniques covers the lecture, its functions exist, and links lead somewhere."""

import importlib
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
INDEX = (ROOT / "notebooks/INDEX.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), ROOT / "data/README.md", *ROOT.glob("notebooks/*.md"),
         *ROOT.glob("notebooks/*.ipynb")]
LECTURE = [
    "First-layer filters", "Higher-layer filters", "Nearest neighbors", "PCA", "t-SNE",
    "Activation maps", "Maximally activating patches", "Saliency by occlusion",
    "Saliency by backprop", "Segmentation without supervision", "Guided backprop",
    "Gradient ascent", "Regularizers", "Adversarial examples", "Feature inversion", "DeepDream",
    "Texture by nearest neighbors", "Texture from Gram matrices", "Neural style transfer",
    "Fast neural style transfer", "Instance norm",
]


def markdown(path):
    """Read a page, or the prose of a notebook, without code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"```.*?```", "", text, flags=re.S)


@cache
def headings(path):
    """List a page's headings as anchors: JupyterLab puts dashes for spaces, GitHub also lowers."""
    found = re.findall(r"^#+ (.*?)\s*$", markdown(path), re.M)
    jupyter = {heading.replace(" ", "-") for heading in found}
    github = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in found}
    return jupyter | github


@pytest.mark.parametrize("topic", LECTURE)
def test_the_index_has_each_topic_of_the_lecture(topic):
    techniques = [line.split("|")[1] for line in INDEX.splitlines() if line.startswith("|")]
    assert any(topic in technique for technique in techniques)


def test_each_function_of_the_index_exists():
    for names, path in re.findall(r"\[([^\]]+)\]\(\.\./(helpers/[\w/]+)\.py\)", INDEX):
        module = importlib.import_module(path.replace("/", "."))
        assert all(hasattr(module, name) for name in re.findall(r"`(\w+)`", names)), names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_a_file_and_a_heading(page):
    text = re.sub(r"`[^`\n]*`", "", markdown(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:|attachment:|data:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or target.suffix == ".py" or anchor in headings(target), link
