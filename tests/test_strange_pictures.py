"""Some hundred strange pictures: each is loaded rightly or refused in a sentence. `run.py trust pictures` tries thousands."""

import io
import struct
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from ipywidgets import FileUpload
from PIL import Image
from test_decode import encoded, samples, says

from helpers.images import load_image
from helpers.interact import board, upload
from tests.drive import parts
from tests.drive import upload as choose
from tests.strange import SMALL, Case, handed_over, judged, load, others, text_bombs

quietly = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


def some(number):
    return settings(max_examples=number, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck))


@some(300)
@given(handed_over(SMALL))
@quietly
def test_each_is_loaded_rightly_or_refused(case):
    with tempfile.TemporaryDirectory() as folder:
        judged(case, load(case, Path(folder)))


@some(10)
@given(text_bombs())
def test_text_that_unpacks_to_100_megabytes_is_refused(case):
    assert judged(case, load(case, Path(tempfile.gettempdir()))) == "refused"


SMALLEST = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8))


@pytest.mark.parametrize("kind, mode, options", [
    ("PNG", "RGB", {}), ("PNG", "P", {}), ("JPEG", "RGB", {}), ("JPEG", "RGB", {"progressive": True}), ("GIF", "P", {}),
    ("WEBP", "RGB", {}), ("WEBP", "RGB", {"lossless": True}), ("TIFF", "RGB", {}), ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("BMP", "RGB", {}), ("PPM", "RGB", {}), ("JPEG2000", "RGB", {}), ("AVIF", "RGB", {})])
@quietly
def test_a_file_cut_at_every_tenth_byte(kind, mode, options):
    """Refused; or whole, or as OpenCV sees it, where it is cut behind the last pixel."""
    data = encoded(SMALLEST.convert(mode), kind, **options)
    whole = (load_image(data)[0].permute(1, 2, 0).numpy() * 255).round().astype(int)
    cuts = [Case(f"{kind}, cut", data[:end], whole, whole=False) for end in range(0, len(data), 10)]
    ends = [judged(cut, load(cut, Path(tempfile.gettempdir()))) for cut in cuts]
    assert set(ends) <= {"refused", "loaded"} and ends.count("refused") > 0.6 * len(ends)


# What would take longer than 2 s or more than 500 MB, by tests/trust/pictures.py

def claiming(side, **options):
    """A JPEG of a few hundred bytes whose header claims side x side pixels."""
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "JPEG", **options))
    at = data.index(b"\xff\xc2" if options else b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


@pytest.mark.parametrize("kind, data", {
    "JPEG": claiming(12_000), "JPEG drawn in 10 passes": claiming(7_000, progressive=True),
    "WEBP": cv2.imencode(".webp", np.zeros((4500, 4500), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes(),
    "JPEG2000": encoded(Image.new("L", (2100, 2000)), "JPEG2000"), "BMP": encoded(Image.new("1", (8000, 8000)), "BMP"),
    "PPM in plain text": b"P3 2000 2000 255\n", "PPM in plain text or with an unusual white": b"P6 2000 2000 100\n"}.items())
def test_too_many_pixels_for_its_kind(kind, data):
    assert f"million pixels, and of a {kind}" in says(data)


def test_a_jpeg_with_very_many_passes_is_refused():
    """Each of them is some ten bytes, and goes through the whole picture once more."""
    data = encoded(Image.new("L", (1100, 1100), 99), "JPEG", progressive=True)
    assert load_image(data).shape == (1, 3, 1024, 1024)
    assert "drawn in 1006 passes at most 0 million are read" in says(data[:-2] + data[data.rindex(b"\xff\xda"):-2] * 1000 + data[-2:])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_opened_by_pil_has_the_same_limits():
    data = encoded(Image.new("1", (8000, 8000)), "PNG")
    assert "64.0 million pixels, and of a PNG at most 34 million" in says(Image.open(io.BytesIO(data)))
    assert "64.0 million pixels, and of a PIL image at most 60 million" in says(Image.new("L", (8000, 8000)))


def test_two_photographs_in_one_file_of_a_phone():
    """MPO: a JPEG with a second one behind it, which the first names."""
    data = encoded(Image.new("RGB", (64, 48), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48), "blue")])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert abs((load_image(data)[0] * 255).permute(1, 2, 0).numpy() - others(data)[0]).max() <= 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM"])
def test_sizes_at_the_border(kind, shape):
    x = load_image(encoded(Image.new("RGB", shape[::-1], "white"), kind))
    assert x.shape == (1, 3, min(shape[0], 1024), min(shape[1], 1024)) and (x == 1).all()


# Uploaded

def put(box, data):
    choose(parts(box, FileUpload)[0], "a file", data)


@some(40)
@given(SMALL)
@quietly
def test_an_upload_shows_a_picture_or_a_line_of_text(case):
    box = upload(lambda picture: (picture[..., :64, :64], "drawn"))
    put(box, case.data)
    line = box.children[1].text.value
    assert line == "drawn" or "<b>ValueError:</b> The source cannot be read as a picture: " in line and " Try " in line, line


def test_a_board_shows_a_refusal(monkeypatch):
    class AtOnce:
        def __init__(self, target, args, daemon):
            self.start = lambda: target(*args)
    monkeypatch.setattr("helpers.interact.threading.Thread", AtOnce)
    box = board(lambda picture: [] if picture is None else [(picture, "yours")])
    for data in (b"", b"a letter", claiming(60_000), samples()["png"][:200]):
        put(box, data)
        assert "<b>ValueError:</b> The source cannot be read as a picture: " in box.children[1].value
    put(box, samples()["png"])
    assert "Pictures: 1" in box.children[1].value
