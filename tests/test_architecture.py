"""The arrows between the helpers' modules, as the design draws them: they run one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HELPERS = ROOT / "helpers"

ANYONE = {"errors", "images", "files", "batches"}  # whom all others may import
MAY_IMPORT = {
    # The ground: it knows no technique.
    "errors": set(),
    "decode": {"errors"},
    "files": {"errors"},
    "batches": {"errors"},
    "images": {"errors", "decode", "files"},
    "weights": ANYONE,
    "activations": ANYONE,
    "efficientnet": set(),
    "nets": {*ANYONE, "activations", "efficientnet", "weights"},
    # What techniques are made of; `optimize` and `param` never learn what a network is.
    "param": ANYONE,
    "transforms": ANYONE,
    "losses": ANYONE,
    "spectrum": ANYONE,
    "optimize": ANYONE,
    # Techniques know the ground, and each other downwards.
    "features": {*ANYONE, "activations"},
    "patches": {*ANYONE, "activations", "attribution"},
    "attribution": {*ANYONE, "activations"},
    "segmentation": ANYONE,
    "evaluation": {*ANYONE, "activations", "attribution", "transforms"},
    "significance": ANYONE,
    "rivals": {*ANYONE, "nets", "transforms"},
    "ascent": {*ANYONE, "activations", "nets", "optimize", "param"},
    "adversarial": {*ANYONE, "nets", "attribution", "optimize"},
    "inversion": {*ANYONE, "activations", "losses", "optimize", "param"},
    "dream": {*ANYONE, "activations", "optimize", "param", "transforms"},
    "texture": ANYONE,
    "art": ANYONE,
    "style": {*ANYONE, "activations", "losses", "nets", "optimize", "param", "transforms", "weights"},
    # The rendered world.
    "world.solids": {"errors"},
    "world.renderer": {"errors", "world.solids"},
    "world.scenes": {*ANYONE, "world.renderer", "world.solids"},
    # For notebooks and tests alone; exercises may use what a learner may.
    "show": ANYONE,
    "interact": {*ANYONE, "show"},
    "blind": {*ANYONE, "interact", "show"},
    "exercises.quiz": set(),
    "exercises.detective": {*ANYONE, "features"},
    "exercises.verdict": set(),
    "exercises.stubs": set(),
    "exercises.homework": {"exercises.stubs", "files"},
    "exercises.grade": {"exercises.homework", "files", "exercises.marking", "exercises.stubs"},
}
PACKAGES = {"", "recipes", "world", "exercises"}
# These are for notebooks and tests alone. Three recipes make sheets of pictures, as a notebook would.
SHOWING = {"show", "interact", "blind", "exercises.quiz"}
CHECKS = {f"exercises.{name}" for name in ("checks", "contests", "fresh", "marking", "problems_01", "problems_02", "problems_03")}
FOR_NOTEBOOKS = {*SHOWING, *CHECKS, "exercises.detective", "exercises.verdict", "exercises.stubs", "exercises.homework", "exercises.grade"}
MAY_DRAW = {"show", "interact", "blind", "recipes.pictures", "recipes.poster", "recipes.thumbnails"}
DRAWING = {"matplotlib", "ipywidgets"}


def modules():
    """{name: path}: "images", "recipes.coursenet", ... A package's own file goes by the package's name."""
    paths = {path.relative_to(HELPERS).with_suffix(""): path for path in HELPERS.rglob("*.py")}
    return {".".join(part for part in name.parts if part != "__init__"): path for name, path in paths.items()}


def allowed(name, known):
    """The helpers that a module may import; None where it is not in the table. Checks and recipes may use what a learner may."""
    if name in ("recipes.pictures", "recipes.progression", "recipes.thumbnails"):
        return known - {"exercises.checks"}
    if name in CHECKS or name == "recipes.leaderboard":
        return known - SHOWING
    if name.startswith("recipes."):
        return known - FOR_NOTEBOOKS
    return set() if name in PACKAGES else MAY_IMPORT.get(name)


def imported(source, package="helpers"):
    """The full names of what a source imports anywhere in it: {"torch", "helpers.images.load_image", ...}."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            names |= {".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names}
    return names


def ours(names, known):
    """Which of our modules these names lie in; `helpers.nets.load_net` lies in nets."""
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "helpers":
            candidates = [".".join(parts[1:end]) for end in range(len(parts), 1, -1)]
            found.add(next((candidate for candidate in candidates if candidate in known), candidates[-1] if candidates else ""))
    return found - {""}


def wrong_arrows(name, source, known):
    """What is wrong with the imports of one module, in words."""
    may = allowed(name, known)
    if may is None:
        return [f"helpers/{name}.py is not in the table of {Path(__file__).name}: say there what it may import"]
    names = imported(source, f"helpers.{name}".rpartition(".")[0])
    wrong = [f"{name} may not import {other}" for other in sorted(ours(names, known) - may - PACKAGES)]
    drawing = DRAWING & {other.split(".")[0] for other in names}
    return wrong + [f"only show and interact may import {other}, not {name}" for other in sorted(drawing) if name not in MAY_DRAW]


@pytest.mark.parametrize("name", modules())
def test_arrows(name):
    assert not wrong_arrows(name, modules()[name].read_text(encoding="utf-8"), set(modules()))


def test_the_table_has_no_circle():
    """Modules can be put in an order in which each one imports only what stands before it."""
    left = dict(MAY_IMPORT)
    while left:
        free = [name for name, may in left.items() if not may & set(left) - {name}]
        assert free, f"These import each other in a circle: {', '.join(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize("name, source, complaint", [
    ("optimize", "def f():\n    import helpers.nets", "optimize may not import nets"),
    ("optimize", "from .nets import load_net", "optimize may not import nets"),
    ("optimize", "from helpers import nets", "optimize may not import nets"),
    ("world.scenes", "from ..nets import load_net", "world.scenes may not import nets"),
    ("recipes.coursenet", "from helpers import show", "recipes.coursenet may not import show"),
    ("images", "import matplotlib.pyplot as plt", "only show and interact may import matplotlib, not images"),
    ("novelty", "", "novelty.py is not in the table"),
])
def test_a_wrong_arrow_is_found(name, source, complaint):
    assert complaint in "".join(wrong_arrows(name, source, set(modules())))
