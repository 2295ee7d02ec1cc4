"""Reads a picture of any kind as a person sees it: upright, on white, 8-bit RGB in sRGB. `load_image` makes a tensor of it."""

import io
import os
import re
import warnings
from contextlib import ExitStack

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from helpers.errors import describe

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
MAX_SIDE = 1024             # a phone's 50 million pixels would need 600 MB as floats, and no network here can use them
# Of how many million pixels each format is read: a photograph with grain takes up to 2 s of a core and 500 MB, by tests/trust/pictures.py.
MILLIONS = {"JPEG": 110, "MPO": 110, "PNG": 34, "WEBP": 20, "AVIF": 12.5, "JPEG2000": 4}    # a JPEG is decoded at a fraction of its size
MOST_MILLIONS = 60          # of all others, and of a PIL image
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}


class Refused(ValueError):
    """A picture that may be whole, but has too many pixels, or colours that are not known or not there."""


def decode(source):
    """A path, bytes, an open file or a PIL image -> a PIL image in RGB, at most 1024 pixels a side. Changes none of them."""
    name = repr(str(source)[:200]) if isinstance(source, (str, os.PathLike)) else "The source"
    check_source(source, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not isinstance(source, Image.Image):
                return as_rgb(opened(source))
            most, kind = limit(source)
            check_pixels(source, min(most, MOST_MILLIONS), kind)
            return as_rgb(source)
    except Exception as error:      # Pillow's readers raise almost anything for a damaged file
        raise ValueError(f"{name} cannot be read as a picture: {reason(error)}. "
                         f"Try a copy saved as an 8-bit PNG or JPEG of at most {MILLIONS['PNG']} million pixels.") from None


def check_source(source, name):
    """Raises ValueError or TypeError unless source is an existing file, bytes, an open binary file or a PIL image."""
    if isinstance(source, (str, os.PathLike)):
        if re.match(r"\w\w+:/|data:", str(source)):
            raise ValueError(f"{name} is an address; expected the path of a picture. Try to download it first.")
        if not os.path.isfile(source):
            kind = "is a folder" if os.path.isdir(source) else "does not exist"
            raise ValueError(f"{name} {kind}; expected the path of a picture. Try a full path; others start from {os.getcwd()!r}.")
    elif not isinstance(source, (bytes, bytearray, memoryview, Image.Image)):
        if not hasattr(source, "read") or isinstance(source, io.TextIOBase) or getattr(source, "closed", False):
            raise TypeError(f"Got {describe(source)}; expected a path, bytes, a file that is open with "
                            "mode 'rb', or a PIL image. Try PIL's Image.fromarray for an array.")


def reason(error):
    """Why a picture cannot be read, as half a sentence: exception -> str."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return "it has too many pixels"
    if isinstance(error, UnidentifiedImageError):
        return f"it is damaged or of an unusual kind (expected {', '.join(FORMATS)})"
    if isinstance(error, OSError):
        return error.strerror or f"it is damaged ({str(error).rstrip('.')})"
    return "it is damaged"      # a struct.error or KeyError would speak of Pillow's inside


def opened(source):
    """A path, bytes or an open file, which keeps its place -> a PIL image, decoded."""
    with ExitStack() as stack:
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = io.BytesIO(source)
        elif isinstance(source, (str, os.PathLike)):
            source = stack.enter_context(open(source, "rb"))
        elif source.seekable():
            stack.callback(source.seek, source.tell())
        Image.init()
        image = Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])
        check_pixels(image, *limit(image))
        image.draft(None, (MAX_SIDE, MAX_SIDE))     # lets a JPEG decode at a half, a quarter or an eighth of its size
        image.load()
        return image


def limit(image):
    """How many million pixels are read of a PIL image of this kind, and what it is called: (60, "TIFF")."""
    if image.format in ("JPEG", "MPO") and image.tile:      # not decoded yet
        passes = scans(image.fp)
        if passes > 1:      # all its coefficients are held in memory, and each pass goes through all of them
            return min(40, 1000 // passes), f"JPEG drawn in {passes} passes"
    if image.format == "PPM" and image.tile and image.tile[0][0] != "raw":
        return 1, "PPM in plain text or with an unusual white"     # Pillow reads these in Python
    return MILLIONS.get(image.format, MOST_MILLIONS), image.format or "PIL image"


def scans(file):
    """In how many passes a JPEG is drawn: 1, or as many as it says if the first does not draw all of the picture."""
    file.seek(0)
    image = JpegImageFile(file)             # leaves the file behind the head of the first scan
    size = 8 + 2 * image.layers             # of this head, with its marker, if the scan is of all components
    file.seek(file.tell() - size)
    of_all = file.read(size).startswith(b"\xff\xda" + bytes([0, size - 2, image.layers]))
    if of_all and not image.info.get("progressive"):
        return 1
    return 1 + file.read().split(b"\xff\xd9")[0].count(b"\xff\xda")       # up to the end of the picture: a film may follow


def check_pixels(image, millions, kind):
    """Raises Refused if an image has more pixels than that."""
    if image.width * image.height > millions * 1e6:
        raise Refused(f"it has {image.width * image.height / 1e6:,.1f} million pixels, and of a {kind} at most {millions} million are read")


def as_rgb(image):
    """A PIL image of any mode, which stays as it is -> RGB in sRGB, upright, on white, at most MAX_SIDE pixels a side."""
    if 0 in image.size:
        raise Refused("it has no pixels")
    if image.format == "EPS":       # opened by Pillow, which would now hand it to Ghostscript
        raise Refused("it is PostScript, a program that would have to be run")
    image.load()            # a TIFF turns itself when loaded, and then says so
    try:
        turn = TURNS.get(image.getexif().get(274))      # the orientation
    except Exception:       # damaged EXIF beside a good picture
        turn = None
    profile, scale = image.info.get("icc_profile"), MAX_SIDE / max(image.size)
    image = in_plain_mode(image)
    if scale < 1:
        image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS, reducing_gap=3)
    rgb = in_srgb(image.convert(image.mode.removesuffix("A")), profile)
    if image.mode in ("LA", "RGBA"):
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), image.getchannel("A"))
    return rgb if turn is None else rgb.transpose(turn)


def in_plain_mode(image):
    """A PIL image of any mode -> L, LA, RGB, RGBA or CMYK, with 8 bits a channel."""
    if image.mode.startswith("I") or image.mode == "F":
        return in_8_bits(image)
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") and "transparency" not in image.info:
        return image
    mode = ("L" if image.mode in ("1", "L", "La") else "RGB") + "A" * image.has_transparency_data
    return image.copy().convert(mode)       # a copy, for convert writes the transparent colours into the palette


def in_8_bits(image):
    """Grey of 12 or 16 bits, or floats in [0, 1] -> L. (Pillow's own convert clips all above 255 to white.)"""
    if image.mode == "I" and image.format != "PPM":
        raise Refused("it has 32-bit grey values and does not say which of them is white")
    tags = getattr(image, "tag_v2", {})     # of a TIFF; 258: bits per sample, 262: 0 where zero is white
    white = 1 if image.mode == "F" else 4095 if tags.get(258) == (12,) else 65535
    values = np.array(image, np.float32)
    if not (values.min() >= 0 and values.max() <= white):
        raise Refused(f"its grey values go from {values.min():.3g} to {values.max():.3g}, expected 0 to {white}")
    clear = values == image.info["transparency"] if "transparency" in image.info else None
    values *= 255 / white
    if tags.get(262) == 0:
        np.subtract(255, values, out=values)
    if clear is not None:
        values[clear] = 255
    return Image.fromarray(values.round(out=values).astype(np.uint8))


def in_srgb(image, profile):
    """L, RGB or CMYK with the bytes of its colour profile, if any -> RGB in sRGB."""
    if profile:
        try:
            own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass        # damaged, or of another kind than the picture: most programs ignore it too
    return image.convert("RGB")
