"""What an image is here: float RGB in [0, 1], (b, 3, h, w). Load, save, resize; and real photographs to look at."""

import io
import operator
import os
import re
import warnings
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, UnidentifiedImageError

from helpers.errors import unknown

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
MAX_SIDE = 1024             # a phone's 50 million pixels would need 600 MB as floats, and no network here can use them
MAX_PIXELS = 100_000_000    # decoded they take 400 MB; a JPEG may have more, since it is decoded at a fraction of its size
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}


def check_images(x, *, within=True):
    """Raises TypeError or ValueError unless x is a float tensor (b,3,h,w), finite, and in [0, 1] if `within`."""
    if not torch.is_tensor(x) or not x.is_floating_point():
        got = f"a {x.dtype} tensor" if torch.is_tensor(x) else f"a {type(x).__name__}"
        raise TypeError(f"Got {got}; expected images as a float tensor. Try load_image for a file, x.float() / 255 for bytes.")
    if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape:
        raise ValueError(f"Got a tensor of shape {tuple(x.shape)}; expected images (b, 3, h, w). Try x[None] for a single image, "
                         "x.permute(0, 3, 1, 2) where colour comes last, x.expand(-1, 3, -1, -1) for grey.")
    low, high = x.detach().aminmax()
    if not (low.isfinite() and high.isfinite()):
        raise ValueError("Got pixels that are infinite or not a number; expected finite ones. Try a smaller step.")
    if within and not (low >= 0 and high <= 1):
        raise ValueError(f"Got pixels from {low:.3g} to {high:.3g}; expected [0, 1]. Try x / 255 for bytes, x.clamp(0, 1) after a step; "
                         "normalisation is inside the network.")


def load_image(source, *, size=None):
    """An image file as a person sees it -> (1,3,h,w) in [0,1].

    `source` is a path, bytes, a file open for reading bytes, or a PIL image; none of them is changed. EXIF rotation and
    colour profiles are applied, transparency stands on white, of an animation the first frame is taken, and a picture of
    more than 1024 pixels a side is scaled down. `size` then crops to the largest centred square (or rectangle of that
    shape) and resizes it: 64, or (h, w). Raises ValueError with one sentence for anything that is not a picture.
    """
    shape = None if size is None else pair(size)
    name = "The picture"
    if isinstance(source, (str, os.PathLike)):
        name = repr(str(source)[:200])
        if not os.path.isfile(source):
            kind = "an address" if re.match(r"\w\w+:/|data:", str(source)) else "a folder" if os.path.isdir(source) else "no file"
            raise ValueError(f"{name} is {kind}; expected the path of a picture. " + (
                "Try to download it first." if kind == "an address" else f"Paths start from {os.getcwd()!r}."))
    elif not isinstance(source, (bytes, bytearray, memoryview, Image.Image)):
        if not hasattr(source, "read") or isinstance(source, io.TextIOBase):
            raise TypeError(f"Got a {type(source).__name__}; expected a path, bytes, a file open for reading bytes ('rb') or a PIL image. "
                            "Try PIL's Image.fromarray for an array.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rgb = as_rgb(source.copy() if isinstance(source, Image.Image) else decode(source))
    except Exception as error:      # Pillow's readers raise almost anything for a damaged file
        raise ValueError(f"{name} cannot be read as a picture: {reason(error)}. Try to save it again as PNG or JPEG.") from None
    x = torch.from_numpy(np.asarray(rgb, np.float32) / 255).permute(2, 0, 1)[None].contiguous()
    return x if shape is None else resize(crop(x, shape), shape)


def reason(error):
    """Why a picture cannot be read, as half a sentence: exception -> str."""
    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MAX_PIXELS // 10**6} million pixels"
    # OSError and ValueError have a text meant for people; a KeyError or struct.error speaks of Pillow's inside.
    return str(error).rstrip(".") or "it is damaged" if isinstance(error, (OSError, ValueError)) else "it is damaged"


def decode(source):
    """A path, bytes or an open file, which keeps its place -> a loaded PIL image."""
    with ExitStack() as stack:
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = io.BytesIO(source)
        elif isinstance(source, (str, os.PathLike)):
            source = stack.enter_context(open(source, "rb"))
        elif source.seekable():
            stack.callback(source.seek, source.tell())
        Image.init()
        image = Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])
        image.draft(None, (MAX_SIDE, MAX_SIDE))     # lets a JPEG decode at a half, a quarter or an eighth of its size
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.load()
        return image


def as_rgb(image):
    """A PIL image of any mode, ours to change -> RGB in sRGB, upright, on white, at most MAX_SIDE pixels a side."""
    profile = image.info.get("icc_profile")
    try:
        turn = TURNS.get(image.getexif().get(274))      # the orientation
    except Exception:       # damaged EXIF beside a good picture
        turn = None
    image = in_plain_mode(image)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
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
    return image.convert(("L" if image.mode in ("1", "L", "La") else "RGB") + "A" * image.has_transparency_data)


def in_8_bits(image):
    """Grey of 12 or 16 bits, or floats in [0, 1] -> L. (Pillow's own convert clips all above 255 to white.)"""
    if image.mode == "I" and image.format != "PPM":
        raise ValueError("which of its 32-bit grey values is white is not known, expected 8 or 16 bits")
    tags = getattr(image, "tag_v2", {})     # of a TIFF; 258: bits per sample, 262: 0 where zero is white
    white = 1 if image.mode == "F" else 4095 if tags.get(258) == (12,) else 65535
    values = np.asarray(image, np.float32)
    if not (values.min() >= 0 and values.max() <= white):
        raise ValueError(f"its grey values go from {values.min():.3g} to {values.max():.3g}, expected 0 to {white}")
    values = values / white if tags.get(262) != 0 else 1 - values / white
    values[np.asarray(image) == image.info.get("transparency")] = 1
    return Image.fromarray(np.round(values * 255).astype(np.uint8))


def in_srgb(image, profile):
    """L, RGB or CMYK with the bytes of its colour profile, if any -> RGB in sRGB."""
    if profile:
        try:
            own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass        # damaged, or of another kind than the picture: most programs ignore it too
    return image.convert("RGB")


def to_pil(image):
    """(1,3,h,w) or (3,h,w) in [0,1] -> a PIL image."""
    image = image[None] if torch.is_tensor(image) and image.ndim == 3 else image
    check_images(image)
    if len(image) != 1:
        raise ValueError(f"Got {len(image)} images; expected one. Try images[:1].")
    return Image.fromarray((image[0].detach().cpu().float() * 255).round().byte().permute(1, 2, 0).numpy())


def save_image(image, path):
    """Writes (1,3,h,w) in [0,1] to a file: .png keeps every grey level, .jpg and .webp are smaller and do not."""
    picture = to_pil(image)
    try:
        picture.save(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"Cannot write {str(path)!r}: {error}. Try an existing folder, and .png, .jpg or .webp.") from None


def pair(size):
    """64 or (h, w) -> (h, w), whole numbers of at least 1."""
    try:
        height, width = map(operator.index, size if isinstance(size, (tuple, list)) else (size, size))
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(f"Got size {size!r}; expected whole pixels, at least 1. Try 64, or (height, width).")
    return height, width


def crop(images, shape):
    """The largest centred part with the proportions of `shape`, an int for a square or (h, w): (b,3,h,w) -> (b,3,h',w')."""
    check_images(images)
    (height, width), (h, w) = pair(shape), images.shape[-2:]
    scale = min(h / height, w / width)
    h2, w2 = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (h - h2) // 2, (w - w2) // 2
    return images[..., top:top + h2, left:left + w2]


def resize(images, size):
    """Antialiased bicubic resizing to size x size or (h, w): (b,3,h,w) -> (b,3,h',w')."""
    check_images(images)
    return F.interpolate(images, pair(size), mode="bicubic", antialias=True).clamp(0, 1)


@dataclass(frozen=True)
class Photo:
    """A photograph that comes with an installed package: what it shows, whose it is, and under which licence."""

    title: str
    package: str
    function: str
    credit: str
    licence: str

    def load(self, size=None):
        """(1,3,h,w) in [0,1]; with `size`, the centred square (or (h, w)) of that size."""
        if self.package == "scikit-image":
            from skimage import data
            array = getattr(data, self.function)()
        else:
            from sklearn.datasets import load_sample_image
            array = load_sample_image(self.function)
        return load_image(Image.fromarray(array), size=size)


class Photos(dict):
    def __missing__(self, name):
        raise unknown("photograph", name, self)


def photos():
    """Photographs of scikit-image and scikit-learn, dict name -> Photo: photos()["cat"].load(64) -> (1,3,64,64)."""
    public, cc_by = "public domain", "CC BY 2.0"
    return Photos({
        "cat": Photo("a ginger cat, Chelsea", "scikit-image", "chelsea", "Stefan van der Walt", "CC0"),
        "espresso": Photo("an espresso in a cup", "scikit-image", "coffee", "Rachel Michetti, Pikolo Espresso Bar", "CC0"),
        "astronaut": Photo("the astronaut Eileen Collins", "scikit-image", "astronaut", "NASA", public),
        "rocket": Photo("a Falcon 9 rocket at its launch", "scikit-image", "rocket", "SpaceX", public),
        "hubble": Photo("the Hubble eXtreme Deep Field", "scikit-image", "hubble_deep_field", "NASA and ESA", public),
        "temple": Photo("a pavilion of the Summer Palace, Beijing", "scikit-learn", "china.jpg", "Daniel Buechele", cc_by),
        "dahlia": Photo("a dahlia", "scikit-learn", "flower.jpg", "vultilion", cc_by),
    })
