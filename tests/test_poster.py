"""The map of methods: its tables agree with each other, nothing on the sheet lies on anything else, and the stored file is there."""

from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch
from PIL import Image

from helpers.recipes import poster


@pytest.fixture(scope="module")
def sheet():
    """The sheet with grey for pictures."""
    fig = poster.draw({key: torch.full((1, 3, 4, 4), 0.5) for key in poster.METHODS})
    fig.canvas.draw()
    yield fig
    plt.close(fig)


def test_tables_agree():
    names = [name for name, *_ in poster.METHODS.values()]
    assert len(set(names)) == len(names) == 22
    assert set(poster.THUMBNAILS) == set(poster.METHODS)
    pairs = [(start, end) for start, end, *_ in poster.ARROWS]
    assert len(set(pairs)) == len(pairs)
    assert {key for pair in pairs for key in pair} == set(poster.METHODS), "each method is reached by an arrow"
    assert poster.LINE.startswith("Twenty-two")


def test_methods_stand_in_one_column_and_row():
    for key, (_, x, y) in poster.METHODS.items():
        half = poster.SIDE / 2
        assert any(left < x - half and x + half < right for left, right, *_ in poster.COLUMNS), key
        assert any(top < y - half and y + half < bottom for top, bottom, _ in poster.ROWS), key


def test_nothing_overlaps(sheet):
    """Neither words nor thumbnails lie on each other, all are on the sheet, and no letter is smaller than 11 pixels."""
    ax = sheet.axes[0]
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert len(boxes) == len(ax.texts)
    boxes |= {key: image.get_window_extent() for key, image in zip(poster.METHODS, ax.images, strict=True)}
    wrong = [(one, other) for one, other in combinations(boxes, 2) if boxes[one].overlaps(boxes[other])]
    assert not wrong
    assert all(0 <= box.x0 and box.x1 <= poster.WIDTH and 0 <= box.y0 and box.y1 <= poster.HEIGHT for box in boxes.values())
    assert min(text.get_fontsize() for text in ax.texts) / 0.72 >= 10.99


def test_arrows_cross_nothing(sheet):
    """No arrow goes through a thumbnail or through words."""
    ax, across = sheet.axes[0], np.linspace(0, 1, 200)[:, None]
    boxes = [text.get_window_extent() for text in ax.texts] + [image.get_window_extent() for image in ax.images]
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == len(poster.ARROWS)
    for arrow, (start, end, *_) in zip(arrows, poster.ARROWS, strict=True):
        ends = ax.transData.transform(arrow.get_path().vertices[[0, 2]])
        points = ends[0] + across * (ends[1] - ends[0])
        assert np.hypot(*(ends[1] - ends[0])) > 20, (start, end)
        assert not any(box.contains(*point) for box in boxes for point in points), (start, end)


def test_the_stored_sheet():
    with Image.open(poster.FILE) as picture:
        assert picture.size == (round(1.4 * poster.WIDTH), round(1.4 * poster.HEIGHT))
    assert poster.FILE.stat().st_size <= 130_000
    assert "python -m helpers.recipes.poster" in (poster.DATA / "README.md").read_text(encoding="utf-8")
