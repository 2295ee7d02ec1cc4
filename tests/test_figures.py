"""Figures are ordinary images, and each one has a caption and a description in its file."""

import base64
import io
import re
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from matplotlib import colormaps, colors, pyplot
from PIL import Image

from helpers import figures
from helpers.metrics import bootstrap_ci
from helpers.photos import photos

ROOT = Path(__file__).resolve().parents[1]
CAPTION_FILES = sorted(ROOT.glob("notebooks/*.toml"))
DRAWS = re.compile(r"^(?:show|curves|bars|evidence|animation|publish)\(.*?^\)|"
                   r"^(?:show|curves|bars|evidence|animation|publish)\(.*?\)$", re.M | re.S)


@pytest.fixture
def shown(monkeypatch):
    """List what is displayed: (bundle or Markdown, options)."""
    outputs = []
    monkeypatch.setattr(figures, "display", lambda data, **rest: outputs.append((data, rest)))
    return outputs


@pytest.fixture
def drawn(monkeypatch, shown):
    """List the matplotlib figures that are drawn."""
    found = []
    encode = figures.encode
    monkeypatch.setattr(figures, "encode", lambda fig, kind: found.append(fig) or encode(fig, kind))
    return found


def image_of(output):
    """Decode the image of an output: its MIME type and the PIL image."""
    kind, data = next((kind, data) for kind, data in output[0].items() if kind != "text/plain")
    return kind, Image.open(io.BytesIO(base64.b64decode(data)))


def bytes_image(*shape):
    """Make a random image whose values are those of bytes."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)) / 255


def test_a_figure_is_an_image_and_a_caption(shown, tmp_path, monkeypatch):
    (tmp_path / "07_test.toml").write_text(
        '["7.1-noise"]\ncaption = "Noise, *enlarged*."\ndescription = "Dots & <dust>."\n')
    monkeypatch.chdir(tmp_path)
    figures.show(bytes_image(1, 3, 4, 4), figure="7.1-noise")
    (bundle, options), (caption, _) = shown
    assert list(bundle) == ["image/png", "text/plain"] and bundle["text/plain"] == "Dots & <dust>."
    assert options == {"raw": True, "metadata": {"image/png": {"alt": "Dots & <dust>."}}}
    assert caption.data.startswith("Noise, *enlarged*. <img ")
    assert 'alt="Dots &amp; &lt;dust&gt;."' in caption.data and "style" not in caption.data


def test_an_unknown_figure_gives_one_sentence(shown, tmp_path, monkeypatch):
    (tmp_path / "07_test.toml").write_text('["7.1-noise"]\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError, match="no figure in 07_.*Did you mean '7.1-noise'"):
        figures.show(torch.rand(3, 4, 4), figure="7.1-nose")
    with pytest.raises(KeyError, match="no figure in 77_"):
        figures.show(torch.rand(3, 4, 4), figure="77.1-noise")


def test_pixels_of_small_images_are_exact_squares(shown):
    x = bytes_image(3, 5, 7)
    figures.show([x, x.mean(0)], width=40)
    kind, picture = image_of(shown[0])
    pixels = torch.tensor(np.asarray(picture)).permute(2, 0, 1)
    enlarged = (x * 255).round().byte().repeat_interleave(5, 1).repeat_interleave(5, 2)
    assert kind == "image/png" and picture.width == 8 + 2 * (35 + 8)
    assert torch.equal(pixels[:, 8:33, 8:43], enlarged)


def test_photographs_are_jpeg_and_fit(shown):
    figures.show(torch.rand(9, 3, 224, 224), [f"photograph {k}" for k in range(9)])
    kind, picture = image_of(shown[0])
    assert kind == picture.get_format_mimetype() == "image/jpeg"
    assert 900 < picture.width <= 1000 and picture.height < 500         # 5 and 4, not 8 and 1


def test_a_map_has_the_end_colors_of_its_colormap(shown):
    figures.show([torch.tensor([[0.0, 1.0]]), torch.tensor([[-3.0, 2.0]])], width=20)
    figures.show(torch.tensor([[-1.0, 2.0]]), width=20, signed=True, limits=(-2, 2))
    for (data, name), ends in zip(
            [(shown[0], "inferno"), (shown[1], "RdBu_r")], [(0.0, 1.0), (0.25, 1.0)]):
        pixels = np.asarray(image_of(data)[1]) / 255
        for column, end in zip((10, 26), ends):
            assert pixels[10, column] == pytest.approx(colormaps[name](end)[:3], abs=1 / 254)


def test_titles_overlap_nothing(drawn, shown):
    titles = [f"{name}\ncoursenet: Egyptian cat {k}%" for k, name in enumerate(photos())]
    figures.show(torch.rand(8, 3, 64, 64), titles[:8], width=64, columns=4, row_titles=["a", "b"])
    fig = drawn[0]
    texts = [text.get_window_extent() for text in fig.texts]
    pictures = [image.get_window_extent(fig.canvas.get_renderer()) for image in fig.images]
    boxes = [fig.bbox.frozen(), *texts, *pictures]
    for k, box in enumerate(texts):
        assert box.x0 >= 0 and box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1
        assert box.count_overlaps(boxes) == 2, titles[k]        # the figure's and its own


def test_text_has_nine_points_or_more(drawn, shown):
    figures.show([torch.rand(3, 8, 8)], ["noise"], limits=(0, 1))
    figures.curves({"ours": [1, 2, 3]}, baselines={"chance": 1})
    figures.bars({"a": [1, 2], "b": [2, 3]}, ["x", "y"])
    figures.evidence({"ours": torch.rand(9)}, {"chance": 0.5}, xlabel="score")
    sizes = [text.get_fontsize() for fig in drawn for text in fig.findobj(pyplot.Text)]
    assert min(sizes) >= 9
    assert max(image_of(output)[1].width for output in shown) <= 1000
    assert not pyplot.get_fignums()


def test_intervals_are_bootstrap_intervals(drawn, shown):
    values = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    low, high = bootstrap_ci(values.T)
    assert np.array_equal(figures.estimate(values, 1), torch.stack([values.mean(0), low, high]))
    figures.evidence({"ours": values[:, 0]}, {"chance": 0.5, "center": (0.3, 0.2, 0.4)})
    interval, dot, *_ = drawn[0].axes[0].lines
    assert interval.get_xdata() == pytest.approx([float(low[0]), float(high[0])])
    assert dot.get_xdata() == pytest.approx([float(values[:, 0].mean())])
    figures.curves({"ours": values}, baselines={"chance": 0.5})
    band = drawn[1].axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(float(low.min()))
    assert band[:, 1].max() == pytest.approx(float(high.max()))


def test_baselines_are_gray_and_methods_are_not(drawn, shown):
    figures.evidence({"a": 0.5, "b": 0.4}, {"chance": 0.1})
    figures.curves({"a": [0.5, 0.6], "b": [0.4, 0.4]}, baselines={"chance": 0.1})
    figures.bars({"a": [0.5], "b": [0.4]}, ["x"], baselines={"chance": [0.1]})
    for fig in drawn:
        axes, = fig.axes
        marks = [line.get_color() for line in axes.lines]
        marks += [patch.get_facecolor() for patch in axes.patches]
        gray = [np.ptp(colors.to_rgb(mark)) < 0.01 for mark in marks]
        assert sum(gray) in (1, 3) and not any(gray[:2])        # evidence: dot, interval, and line
    assert shown[1][0]["text/plain"] == "a, b, chance"


@pytest.mark.parametrize("pictures, titles, words", [
    (torch.rand(5, 8, 8), (), "Try list"),
    (torch.rand(3, 8, 8) * 255, (), "x / 255"),
    (torch.rand(6, 3, 8, 8), ["one", "two"], "2 titles for 6 pictures"),
])
def test_errors(pictures, titles, words):
    with pytest.raises(ValueError, match=words):
        figures.show(pictures, titles)


def test_animation_is_a_png_that_moves(shown):
    frames = torch.stack([torch.full((3, 6, 9), value) for value in (0.0, 0.5, 1.0)])
    figures.animation(frames, width=18, fps=10)
    kind, movie = image_of(shown[0])
    assert kind == "image/png" and movie.size == (18, 12)
    assert movie.default_image and movie.n_frames == 1 + 3
    assert np.asarray(movie.convert("L")).min() == 255      # the last frame stands still
    movie.seek(1)
    assert movie.info["duration"] == 100 and movie.info["loop"] == 0


def test_credits_name_the_authors(shown):
    figures.credits("temple", "cat")
    assert "Daniel Buechele, CC BY 2.0" in shown[0][0].data and len(shown) == 1
    with pytest.raises(KeyError, match="photograph"):
        figures.credits("dog")


def test_pictures_of_widgets_keep_their_pixels():
    for side, width, expected in [(8, 30, 24), (64, 64, 64), (1000, 160, 160)]:
        picture = Image.open(io.BytesIO(figures.png(torch.rand(1, 3, side, side), width)))
        assert picture.width == expected


@pytest.mark.parametrize("path", CAPTION_FILES, ids=lambda path: path.stem)
def test_each_figure_has_a_caption_and_a_description(path):
    """A description has 5 to 40 words and is more than the caption."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells
             if cell.cell_type == "code"]
    calls = [call for cell in cells for call in DRAWS.findall(cell.source)]
    names = [re.search(r'figure="([^"]+)"', call) for call in calls]
    assert calls and all(names), "a figure without a name"
    assert sorted(name[1] for name in names) == sorted(entries)
    for entry in entries.values():
        caption, description = entry["caption"], entry["description"]
        assert len(caption.split()) <= 40 and 5 <= len(description.split()) <= 40
        assert description.strip(".").lower() not in caption.lower()
    images = [output for cell in cells for output in cell.outputs
              if any(kind.startswith("image/") for kind in output.get("data", {}))]
    assert {image.data["text/plain"] for image in images} == {
        entry["description"] for entry in entries.values()}
