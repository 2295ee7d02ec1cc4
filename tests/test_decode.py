"""Pictures of every kind, as a person sees them; and what is said of those that cannot be read."""

import io
import random
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from helpers.decode import MAX_SIDE, opened, scans
from helpers.images import load_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def encoded(image, kind, **options):
    """A PIL image -> the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width, height, bits, colour, rows, *chunks):
    """A PNG written by hand, for what Pillow does not write."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def seen(source, **options):
    """The pixels that load_image gives, (h, w, 3) as whole numbers to 255; and that it gives a tensor as promised."""
    x = load_image(source, **options)
    assert x.dtype == torch.float32 and x.ndim == 4 and x.shape[:2] == (1, 3)
    assert 0 <= x.min() and x.max() <= 1
    return (x[0] * 255).round().int().permute(1, 2, 0).numpy()


def row(source):
    """The pixels of a picture's first row, as tuples."""
    return [tuple(pixel.tolist()) for pixel in seen(source)[0]]


def says(source):
    """What the ValueError for this source says."""
    with pytest.raises(ValueError) as error:
        load_image(source)
    assert type(error.value) is ValueError
    return str(error.value)


def strip(mode, *pixels):
    """A PIL image one pixel high."""
    image = Image.new(mode, (len(pixels), 1))
    for i, pixel in enumerate(pixels):
        image.putpixel((i, 0), pixel)
    return image


# Where it comes from

def test_paths_bytes_files_and_pil_images_give_the_same(tmp_path):
    image = strip("RGB", RED, (1, 2, 3))
    path = tmp_path / "ein schönes bild.png"
    image.save(path)
    data = path.read_bytes()
    with open(path, "rb") as file:
        for source in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), file, image):
            assert row(source) == [RED, (1, 2, 3)]


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path):
    (tmp_path / "picture.jpg").write_bytes(encoded(strip("RGB", GREEN), "PNG"))
    assert row(tmp_path / "picture.jpg") == [GREEN]


@pytest.mark.parametrize("source, words", [
    ("no/such/cat.png", ["'no/such/cat.png' does not exist", "full path"]),
    ("", ["does not exist"]),
    ("nul\0byte.png", ["does not exist"]),
    ("x" * 5000, ["does not exist"]),
    (".", ["is a folder"]),
    (Path(__file__).parent, ["is a folder"]),
    ("https://example.org/cat.png", ["'https://example.org/cat.png' is an address", "download"]),
    (Path("https://example.org/cat.png"), ["is an address"]),
    ("data:image/png;base64," + "A" * 5000, ["is an address"]),
    (__file__, ["test_decode.py", "cannot be read as a picture", "PNG, JPEG", "Try"]),
    (b"", ["cannot be read as a picture", "Try"]),
    (b"just a text", ["cannot be read as a picture", "Try"]),
])
def test_what_is_no_picture_is_said(source, words):
    message = says(source)
    assert all(word in message for word in words), message
    assert len(message) < 500 and "\n" not in message


@pytest.mark.parametrize("source, came", [
    (None, "None"), (3, "a int"), (np.zeros((2, 2, 3)), r"a float64 ndarray of shape \(2, 2, 3\)"),
    (torch.zeros(1, 3, 2, 2), r"a float32 tensor of shape \(1, 3, 2, 2\)"), (io.StringIO("text"), "a StringIO")])
def test_another_type_is_a_type_error(source, came):
    with pytest.raises(TypeError, match=f"Got {came}; expected a path.* Try"):
        load_image(source)


def test_a_file_that_may_not_be_opened_says_so(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    strip("L", 0).save(path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr("builtins.open", refuse)
    assert "cannot be read as a picture: Permission denied." in says(path)


def test_a_closed_file_says_so():
    file = io.BytesIO(encoded(strip("L", 0), "PNG"))
    file.close()
    with pytest.raises(TypeError, match="a file that is open"):
        load_image(file)


# Nothing of the caller's is changed

def test_an_open_file_keeps_its_place(tmp_path):
    picture = Image.effect_noise((60, 40), 50)
    for kind, options in (("PNG", {}), ("JPEG", {}), ("TIFF", {"compression": "tiff_lzw"})):
        path = tmp_path / f"picture.{kind}"
        path.write_bytes(encoded(picture, kind, **options))
        with open(path, "rb") as file:
            head = file.read(7)
            first = load_image(file)
            assert not file.closed and head + file.read() == path.read_bytes()
            assert torch.equal(load_image(file), first)


def test_a_stream_that_cannot_go_back_is_read():
    class Stream(io.RawIOBase):
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def read(self, size=-1):
            return self.data.read(size)

        def seekable(self):
            return False

        def seek(self, *place):
            raise io.UnsupportedOperation
    assert row(Stream(encoded(strip("RGB", RED), "PNG"))) == [RED]


def test_a_pil_image_stays_as_it_is():
    palette = strip("P", 0, 1, 2)
    palette.putpalette([*RED, *GREEN, *BLUE])
    palette.info["transparency"] = b"\xff\x00\x80"
    rgb = Image.effect_noise((3000, 20), 50).convert("RGB")
    rgb.info.update(transparency=(1, 2, 3), icc_profile=swapped_profile())
    jpeg = Image.open(io.BytesIO(encoded(Image.new("RGB", (2200, 1100), RED), "JPEG")))
    exif = Image.Exif()
    exif[274] = 6
    turned = Image.open(io.BytesIO(encoded(Image.new("RGB", (4, 2), RED), "PNG", exif=exif)))
    everything = lambda image: (image.mode, image.size, dict(image.info), image.tobytes(), image.palette and image.palette.tobytes(),
                                image.palette and image.im.getpalette("RGBA", "RGBA"))
    for image in (jpeg, turned):
        size, info = image.size, dict(image.info)       # a lazy file may be decoded, in its full size
        load_image(image)
        assert (image.size, image.info) == (size, info)
    for image in (palette, rgb, jpeg, turned, Image.new("I;16", (3, 3), 40000), Image.new("LA", (2000, 2), (9, 128))):
        before = everything(image)
        load_image(image)
        assert everything(image) == before


# Kinds of pixels

def test_grey_and_one_bit():
    assert row(encoded(strip("L", 0, 100, 255), "PNG")) == [BLACK, (100, 100, 100), WHITE]
    assert row(encoded(strip("1", 0, 1), "PNG")) == [BLACK, WHITE]
    assert row(encoded(strip("1", 0, 1), "TIFF", compression="group4")) == [BLACK, WHITE]
    assert row(png(4, 1, 2, 0, [bytes([0b00011011])])) == [BLACK, (85, 85, 85), (170, 170, 170), WHITE]


def test_a_palette():
    image = strip("P", 1, 0, 2)
    image.putpalette([*RED, *GREEN, *BLUE])
    for kind in ("PNG", "GIF", "TIFF", "BMP"):
        assert row(encoded(image, kind)) == [GREEN, RED, BLUE]


def test_a_transparent_palette_stands_on_white():
    image = strip("P", 1, 0, 2)
    image.putpalette([*RED, *GREEN, *BLUE])
    assert row(encoded(image, "PNG", transparency=0)) == [GREEN, WHITE, BLUE]
    assert row(encoded(image, "GIF", transparency=0)) == [GREEN, WHITE, BLUE]
    assert row(encoded(image, "PNG", transparency=bytes([255, 51, 0]))) == [(204, 255, 204), RED, WHITE]
    alpha = strip("P", 0, 1)
    alpha.putpalette([*RED, 255, *GREEN, 0], "RGBA")        # transparent in the palette alone, not in `info`
    assert row(alpha) == [RED, WHITE]


def test_alpha_stands_on_white():
    assert row(encoded(strip("RGBA", (*RED, 255), (*RED, 51), (*RED, 0)), "PNG")) == [RED, (255, 204, 204), WHITE]
    assert row(encoded(strip("RGBA", (*RED, 255), (*RED, 0)), "WEBP", lossless=True)) == [RED, WHITE]
    assert row(encoded(strip("LA", (0, 255), (0, 51), (0, 0)), "PNG")) == [BLACK, (204, 204, 204), WHITE]
    assert row(strip("RGBa", (51, 0, 0, 51))) == [(255, 204, 204)]
    assert row(strip("La", (0, 51))) == [(204, 204, 204)]


def test_one_colour_named_as_transparent_stands_on_white():
    assert row(encoded(strip("RGB", RED, BLUE), "PNG", transparency=BLUE)) == [RED, WHITE]
    assert row(encoded(strip("L", 0, 100), "PNG", transparency=0)) == [WHITE, (100, 100, 100)]
    assert row(encoded(strip("1", 0, 1), "PNG", transparency=0)) == [WHITE, WHITE]
    assert row(png(2, 1, 16, 0, [struct.pack(">2H", 0, 257)], (b"tRNS", struct.pack(">H", 0)))) == [WHITE, (1, 1, 1)]


def test_scaling_down_lets_no_hidden_colour_through():
    """The colour under full transparency must not bleed into its neighbours: red beside hidden green gives no green."""
    image = Image.new("RGBA", (4 * MAX_SIDE, 1), (*RED, 255))
    image.paste((*GREEN, 0), (2 * MAX_SIDE + 2, 0, 4 * MAX_SIDE, 1))
    pixels = seen(image)[0]
    assert (pixels[:, 0] == 255).all() and (abs(pixels[:, 1] - pixels[:, 2]) <= 1).all()
    assert tuple(pixels[0]) == RED and tuple(pixels[-1]) == WHITE


def test_cmyk():
    flat = lambda ink: Image.new("CMYK", (16, 16), ink)
    for ink, colour in (((255, 0, 0, 0), (0, 255, 255)), ((0, 255, 0, 0), (255, 0, 255)), ((0, 0, 255, 0), (255, 255, 0)),
                        ((0, 0, 0, 255), BLACK), ((0, 0, 0, 0), WHITE)):
        assert abs(seen(encoded(flat(ink), "JPEG", quality=100)) - colour).max() <= 3
        assert (seen(encoded(flat(ink), "TIFF")) == colour).all()


def test_a_large_cmyk_jpeg_keeps_its_colour():
    assert abs(seen(encoded(Image.new("CMYK", (3000, 2100), (0, 255, 0, 0)), "JPEG")) - (255, 0, 255)).max() <= 3


def test_ycbcr_and_lab():
    assert abs(seen(Image.new("RGB", (8, 8), RED).convert("YCbCr")) - RED).max() <= 2
    lab = ImageCms.profileToProfile(Image.new("RGB", (8, 8), (200, 100, 50)), ImageCms.createProfile("sRGB"),
                                    ImageCms.createProfile("LAB"), outputMode="LAB")
    assert abs(seen(encoded(lab, "TIFF")) - (200, 100, 50)).max() <= 3


def test_sixteen_bits():
    """Of 65535, 257 are one step of 255: 32896 = 128 * 257."""
    greys = Image.fromarray(np.array([[0, 32896, 32896 + 128, 32896 + 129, 65535]], np.uint16))
    expected = [BLACK, (128,) * 3, (128,) * 3, (129,) * 3, WHITE]
    for kind in ("PNG", "TIFF"):
        assert row(encoded(greys, kind)) == expected
    assert row(greys) == expected
    assert row(b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32896, 65535)) == [BLACK, (128,) * 3, WHITE]
    assert row(png(2, 1, 16, 2, [struct.pack(">6H", 65535, 32896, 0, 0, 0, 65535)])) == [(255, 128, 0), BLUE]
    assert row(png(2, 1, 16, 6, [struct.pack(">8H", 65535, 0, 0, 65535, 0, 0, 0, 0)])) == [RED, WHITE]
    assert row(png(2, 1, 16, 4, [struct.pack(">4H", 32896, 65535, 0, 0)])) == [(128,) * 3, WHITE]


def test_a_tiff_whose_zero_is_white():
    assert row(encoded(strip("L", 0, 100, 255), "TIFF", tiffinfo={262: 0})) == [BLACK, (100,) * 3, WHITE]      # Pillow inverts as it saves
    greys = Image.fromarray(np.array([[0, 32896, 65535]], np.uint16))
    assert row(encoded(greys, "TIFF", tiffinfo={262: 0})) == [WHITE, (127,) * 3, BLACK]         # 16 bits it saves as they are


def test_a_tiff_of_twelve_bits():
    data = encoded(Image.fromarray(np.zeros((1, 2), np.uint16)), "TIFF")
    bits = lambda n: struct.pack("<HHIHH", 258, 3, 1, n, 0)
    strip_at = struct.unpack_from("<I", data, data.index(struct.pack("<HHI", 273, 4, 1)) + 8)[0]
    data = bytearray(data.replace(bits(16), bits(12)))
    data[strip_at:strip_at + 3] = b"\xff\xf8\x08"       # 4095 and 2056 = 4095 * 128 / 255
    assert row(bytes(data)) == [WHITE, (128,) * 3]


def test_float_greys():
    tiff = lambda *greys: encoded(Image.fromarray(np.array([greys], np.float32)), "TIFF")
    assert row(tiff(0, 0.2, 1)) == [BLACK, (51, 51, 51), WHITE]
    assert "from 0 to 200, expected 0 to 1" in says(tiff(0, 1, 200))
    assert "from -0.5 to 1" in says(tiff(-0.5, 1))
    assert "nan" in says(tiff(0, np.nan))


def test_whole_numbers_of_32_bits_are_refused_and_not_guessed():
    assert "32-bit grey values" in says(encoded(strip("I", 0, 255), "TIFF"))
    assert "32-bit grey values" in says(strip("I", 0, 255))


# Turned, coloured, moving

# EXIF 2.3, tag 274: the side of the picture that the stored rows and columns start from. Upright: ab above cd above ef.
STORED = {1: "ab cd ef", 2: "ba dc fe", 3: "fe dc ba", 4: "ef cd ab", 5: "ace bdf", 6: "bdf ace", 7: "fdb eca", 8: "eca fdb"}


def lettered(text):
    """Letters -> squares of 16 pixels in six greys, for JPEG cannot hold single pixels."""
    greys = np.array([[40 * "abcdef".index(letter) for letter in word] for word in text.split()], np.uint8)
    return Image.fromarray(greys.repeat(16, 0).repeat(16, 1)).convert("RGB")


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind, options", [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}),
                                           ("TIFF", {"compression": "tiff_lzw"})])
def test_all_orientations(kind, options, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(lettered(STORED[orientation]), kind, exif=exif, **options)
    upright = np.asarray(lettered("ab cd ef"), int)
    for source in (data, Image.open(io.BytesIO(data))):
        pixels = seen(source)
        assert pixels.shape == upright.shape and abs(pixels - upright).max() <= 6


def test_orientation_holds_for_palettes_sixteen_bits_and_large_pictures():
    exif = Image.Exif()
    exif[274] = 6       # stored bdf ace, upright ab cd ef
    palette = strip("P", 1, 0)
    palette.putpalette([*RED, *GREEN])
    assert seen(encoded(palette, "PNG", exif=exif))[:, 0].tolist() == [list(GREEN), list(RED)]
    greys = Image.fromarray(np.array([[0, 65535]], np.uint16))
    assert seen(encoded(greys, "PNG", exif=exif))[:, 0, 0].tolist() == [0, 255]
    assert load_image(encoded(Image.new("RGB", (4096, 2048)), "JPEG", exif=exif)).shape == (1, 3, 1024, 512)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x09" + b"\x01\x12" * 9,
                                  b"nonsense"])
def test_damaged_exif_turns_nothing(exif):
    for kind in ("JPEG", "PNG", "WEBP"):
        assert load_image(encoded(Image.new("RGB", (4, 2)), kind, exif=exif)).shape == (1, 3, 2, 4)


def swapped_profile():
    """sRGB's own profile with the primaries of red and blue exchanged: a picture with it looks blue where its numbers say red."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def linear_grey_profile():
    """A grey profile by hand, ICC.1:2010: D50 white, and a tone curve without entries, which means that light is linear."""
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + d50), (b"kTRC", b"curv" + bytes(8))]
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = struct.pack(">I", 128 + len(table) + len(body))
    return (size + bytes(4) + b"\x02\x40\0\0mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + d50).ljust(128, b"\0") + table + body


def test_the_srgb_profile_changes_nothing():
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
    for kind in ("PNG", "TIFF"):
        assert abs(seen(encoded(noise, kind, icc_profile=data)) - np.asarray(noise, int)).max() <= 1


def test_a_colour_profile_is_applied():
    profile = swapped_profile()
    near = lambda source, *colours: abs(np.array(row(source)) - colours).max() <= 2
    assert near(encoded(strip("RGB", RED, BLUE, WHITE), "PNG", icc_profile=profile), BLUE, RED, WHITE)
    assert near(encoded(strip("RGB", RED, BLUE), "WEBP", lossless=True, icc_profile=profile), BLUE, RED)
    assert near(encoded(strip("RGBA", (*RED, 255), (*RED, 51)), "PNG", icc_profile=profile), BLUE, (204, 204, 255))
    palette = strip("P", 0, 1)
    palette.putpalette([*RED, *GREEN])
    assert near(encoded(palette, "PNG", icc_profile=profile), BLUE, GREEN)
    assert near(encoded(palette, "PNG", icc_profile=profile, transparency=1), BLUE, WHITE)
    assert abs(seen(encoded(Image.new("RGB", (16, 16), RED), "JPEG", icc_profile=profile)) - BLUE).max() <= 6


def test_a_grey_profile_is_applied():
    """Half the light, 0.502, is 0.736 in sRGB: 1.055 * 0.502^(1/2.4) - 0.055."""
    profile = linear_grey_profile()
    for image in (strip("L", 128), strip("LA", (128, 255))):
        assert abs(np.array(row(encoded(image, "PNG", icc_profile=profile))) - 188).max() <= 1


@pytest.mark.parametrize("profile", [b"nonsense", linear_grey_profile(), swapped_profile()[:200]])
def test_a_profile_that_does_not_fit_is_ignored(profile):
    assert row(encoded(strip("RGB", RED, (1, 2, 3)), "PNG", icc_profile=profile)) == [RED, (1, 2, 3)]


@pytest.mark.parametrize("kind, options", [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_of_an_animation(kind, options):
    frames = [Image.new("RGB", (4, 3), colour) for colour in (RED, GREEN, BLUE)]
    assert (seen(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)) == RED).all()


# Sizes

def test_one_pixel():
    assert row(encoded(strip("RGB", (1, 2, 3)), "PNG")) == [(1, 2, 3)]
    assert seen(encoded(strip("RGB", (1, 2, 3)), "PNG"), size=5).tolist() == [[[1, 2, 3]] * 5] * 5


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("size, shape", [((1, 5000), (1024, 1)), ((5000, 1), (1, 1024)), ((2048, 1024), (512, 1024)), ((1024, 1024),) * 2])
def test_long_and_large_pictures_come_down_to_1024(mode, size, shape):
    assert load_image(Image.new(mode, size)).shape == (1, 3, *shape)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_very_large_jpeg_is_not_decoded_in_full():
    data = encoded(Image.new("L", (12000, 9000), 128), "JPEG")
    assert opened(data).size == (1500, 1125)        # an eighth
    x = load_image(data)
    assert x.shape == (1, 3, 768, 1024) and (x == 128 / 255).all()


@pytest.mark.parametrize("side", [8_000, 60_000])
def test_a_png_that_claims_too_many_pixels_is_refused_before_it_is_decoded(side):
    assert re.search("too many pixels|64.0 million pixels, and of a PNG at most 34 million are read", says(png(side, side, 8, 2, [])))


def test_a_picture_without_pixels_is_refused():
    assert "no pixels" in says(Image.new("RGB", (0, 5)))
    assert "cannot be read" in says(png(0, 5, 8, 2, []))


# Damage

def samples():
    """A small file of each kind, name -> bytes."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)).resize((64, 48))
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a description"
    profile, palette, grey16 = swapped_profile(), noise.quantize(64), Image.fromarray(np.asarray(noise)[..., 0].astype(np.uint16) * 200)
    return {
        "png": encoded(noise, "PNG", exif=exif, icc_profile=profile), "palette": encoded(palette, "PNG", transparency=b"\x80" * 64),
        "jpeg": encoded(noise, "JPEG", exif=exif, icc_profile=profile), "progressive": encoded(noise, "JPEG", progressive=True),
        "cmyk": encoded(noise.convert("CMYK"), "JPEG"), "gif": encoded(noise, "GIF"),
        "webp": encoded(noise, "WEBP", exif=exif), "lossless": encoded(noise.convert("RGBA"), "WEBP", lossless=True),
        "tiff": encoded(noise, "TIFF", exif=exif), "lzw": encoded(noise, "TIFF", compression="tiff_lzw"),
        "float": encoded(Image.new("F", (9, 9), 0.5), "TIFF"), "grey16": encoded(grey16, "PNG"),
        "bmp": encoded(noise, "BMP"), "ppm": encoded(noise, "PPM"),
    }


@pytest.mark.parametrize("kind, data", samples().items(), ids=samples())
def test_a_truncated_file_is_said_to_be_damaged(kind, data):
    for part in (0.1, 0.5, 0.8):
        message = says(data[:int(len(data) * part)])
        assert "it is damaged" in message and "Try" in message


def picture_or_sentence(data):
    """True if the bytes gave a picture, False if they gave a sentence; anything else fails."""
    try:
        x = load_image(data)
    except ValueError as error:
        assert "cannot be read as a picture" in str(error) and "\n" not in str(error)
        return False
    assert x.shape[:2] == (1, 3) and max(x.shape[2:]) <= MAX_SIDE and 0 <= x.min() and x.max() <= 1
    return True


@pytest.mark.parametrize("kind, data", samples().items(), ids=samples())
def test_any_changed_byte_gives_a_picture_or_a_sentence(kind, data):
    assert picture_or_sentence(data)
    chance = random.Random(kind)
    for trial in range(40):
        damaged = bytearray(data)
        place = chance.randrange(len(data) if trial % 2 else min(len(data), 200))       # half of them in the header
        damaged[place] ^= chance.randrange(1, 256)
        picture_or_sentence(bytes(damaged))


def test_random_bytes_give_a_picture_or_a_sentence():
    chance = random.Random(0)
    starts = [b""] + [data[:chance.randrange(4, 60)] for data in samples().values()]
    for _ in range(200):
        picture_or_sentence(chance.choice(starts) + chance.randbytes(chance.randrange(300)))


def test_what_follows_a_jpeg_is_no_part_of_it():
    """A phone puts a film behind a photograph: its bytes are not counted as passes in which the picture is drawn."""
    noise = Image.effect_noise((64, 48), 50).convert("RGB")
    for options, passes in (({}, 1), ({"subsampling": 0}, 1), ({"progressive": True}, 10)):
        data = encoded(noise, "JPEG", **options)
        assert scans(io.BytesIO(data)) == scans(io.BytesIO(data + b"\xff\xda" * 200)) == passes
    assert scans(io.BytesIO(encoded(noise.convert("L"), "JPEG"))) == scans(io.BytesIO(encoded(noise.convert("CMYK"), "JPEG"))) == 1
