import base64
import io
import re

import pytest
import torch
from matplotlib import pyplot
from PIL import Image

from helpers.html_figures import animation, chart, compare


def pictures_of(page):
    data = re.findall(r"base64,([^\"]+)", page.data)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in data]


def test_compare_keeps_pixels_and_has_captions_and_plain_alt_texts():
    x = torch.rand(1, 3, 8, 8)
    alt = ["<i>noise</i> &amp; dust", "a map"]
    page = compare(x, x[0, 0], captions=["a <i>cat</i>", "b"], alt=alt)
    assert page.data.count("<figcaption") == 2 and "a <i>cat</i>" in page.data
    assert 'alt="noise &amp; dust"' in page.data
    shown = torch.tensor(list(pictures_of(page)[0].resize((8, 8), Image.NEAREST).tobytes()))
    assert (shown.view(8, 8, 3).permute(2, 0, 1) / 255 - x[0]).abs().max() < 0.6 / 255
    with pytest.raises(ValueError, match="pixels"):
        compare(3 * x, captions=["too bright"])


def test_animation_and_chart():
    grays = [torch.full((1, 3, 6, 9), value) for value in (0.0, 0.5, 1.0)]
    page = animation(grays, "", alt="brighter", width=18)
    movie = pictures_of(page)[0]
    assert movie.size == (18, 12) and movie.n_frames == 3 and 'alt="brighter"' in page.data
    fig, _ = pyplot.subplots()
    assert 'alt="a line"' in chart(fig, "", alt="a line").data
    assert not pyplot.fignum_exists(fig.number)
