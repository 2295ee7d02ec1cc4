"""What a notebook does not import before its first picture: libraries that take up to seconds each."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers.recipes.notebooks import first_picture, imports_of

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("0*.ipynb"))
HEAVY = {"cv2", "matplotlib", "matplotlib.pyplot", "scipy", "scipy.stats", "skimage", "sklearn", "sympy", "torch._dynamo", "torchvision"}
NEEDED = {"02": {"cv2"},                                        # GrabCut is in its first picture
          "05": {"matplotlib", "matplotlib.pyplot"}}            # a chart is
DRAW = """
import sys
import torch
from helpers.images import photos
from helpers.nets import load_net
from helpers.optimize import NormalizedGradient, descend, last
from helpers.param import PixelImage
from helpers.show import outline, show
x = torch.cat([photo.load(64) for photo in photos().values()])
net = load_net("coursenet")
step = last(descend(PixelImage(x[:1]), lambda x: -net(x)[:, 0].sum(), steps=2, optimizer=lambda p: NormalizedGradient(p, lr=0.5)))
show(outline(step.image, step.image[:, 0] > 0.5), "a step")
print(*sys.modules)
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_picture_waits_for_nothing_that_it_does_not_need(path):
    """In a fresh process: the notebook's imports, photographs, a step of ascent, a picture of it."""
    notebook = nbformat.read(path, as_version=4)
    imports = imports_of(notebook.cells[:first_picture(notebook) + 1])
    done = subprocess.run([sys.executable, "-c", imports + DRAW], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == NEEDED.get(path.stem[:2], set())
