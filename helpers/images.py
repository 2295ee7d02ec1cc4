"""Load, crop, and resize images. An image is a float tensor (b,3,h,w), RGB, from 0 to 1."""

import io
from contextlib import suppress

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps

from helpers.errors import describe

LONGEST = 1024      # pixels of the longer side; larger pictures are scaled down


def check_images(x):
    """Raise ValueError unless x holds float images (b,3,h,w) with values from 0 to 1."""
    if not torch.is_tensor(x) or not x.is_floating_point() or x.ndim != 4 or x.shape[1] != 3:
        raise ValueError(f"Got {describe(x)}; expected float images (b, 3, h, w). Try x[None] for "
                         "one image, x.float() / 255 for bytes, x.expand(-1, 3, -1, -1) for gray.")
    low, high = x.detach().aminmax()
    if not (low >= 0 and high <= 1):        # also true of NaN
        raise ValueError(f"Got pixels from {low:.3g} to {high:.3g}; expected 0 to 1. Try x / 255, "
                         "or x.clamp(0, 1) after a step. The networks normalize inside.")


def load_image(source, *, size=None):
    """Load a picture as a tensor (1,3,h,w) from 0 to 1.

    `source` is a path, bytes, an open file, or a PIL image. The picture is upright, in sRGB, on
    white where it is transparent, and at most 1024 pixels on its longer side. `size`, an int or
    (h, w), takes the largest centered crop of that shape and resizes it. Raises ValueError if the
    source is not a picture.
    """
    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = io.BytesIO(source)
        picture = source if isinstance(source, Image.Image) else Image.open(source)
        x = torch.from_numpy(np.asarray(as_rgb(picture), np.float32) / 255)
    except Exception as error:      # Pillow raises many kinds for files that are damaged
        raise ValueError(f"This is not a picture that Pillow can read: {error}. "
                         "Try a JPEG or PNG file.") from error
    x = x.permute(2, 0, 1)[None].contiguous()
    return x if size is None else resize(center_crop(x, size), size)


def as_rgb(picture):
    """Convert a PIL image of any mode to RGB: upright, sRGB, on white, at most 1024 pixels."""
    picture = ImageOps.exif_transpose(picture)
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I"):        # 16-bit gray, which Pillow's convert would clip
        picture = Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    if profile:
        with suppress(ImageCms.PyCMSError):     # a profile of another kind than the picture
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(picture, source, srgb, outputMode="RGB")
    return picture.convert("RGB")


def to_pil(image):
    """Convert one image (1,3,h,w) or (3,h,w) from 0 to 1 to a PIL image."""
    image = image.detach().cpu().float().reshape(image.shape[-3:])
    pixels = (image.clamp(0, 1) * 255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def load_tiles(path, side):
    """Load a mosaic of square tiles without gaps, row by row, as bytes (n,3,side,side)."""
    with Image.open(path) as mosaic:
        x = torch.from_numpy(np.array(mosaic.convert("RGB")))
    tiles = x.unfold(0, side, side).unfold(1, side, side)       # (rows,columns,3,side,side)
    return tiles.flatten(0, 1)


def pair(size):
    """Return (h, w) for an int or a pair."""
    return (size, size) if isinstance(size, int) else tuple(size)


def center_crop(images, shape):
    """Take the largest centered crop with the proportions of `shape`, an int or (h, w)."""
    height, width = pair(shape)
    h, w = images.shape[-2:]
    scale = min(h / height, w / width)
    h2 = max(1, round(height * scale))
    w2 = max(1, round(width * scale))
    top = (h - h2) // 2
    left = (w - w2) // 2
    return images[..., top:top + h2, left:left + w2]


def resize(images, size):
    """Resize images (b,3,h,w) to `size`, an int or (h, w), by antialiased bicubic interpolation."""
    return rescale(images, size, "bicubic").clamp(0, 1)


def rescale(x, size, mode):
    """Resize (b,c,h,w) with antialiasing, in float32 or better; bicubic may overshoot."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.interpolate(wide, pair(size), mode=mode, antialias=True).to(x.dtype)


def sliding_crops(image, sides, *, step=0.5, size=64):
    """Crop squares with each of these sides, a `step` of the side apart, and resize them.

    (1,3,h,w) -> (n,3,size,size), row by row, one side after the other.
    """
    crops = []
    for side in sides:
        pixels = int(step * side)
        squares = image[0].unfold(1, side, pixels).unfold(2, side, pixels)  # (3,rows,columns,...)
        crops.append(resize(squares.flatten(1, 2).transpose(0, 1), size))
    return torch.cat(crops)
