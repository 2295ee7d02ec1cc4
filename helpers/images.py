"""What an image is here: float RGB in [0, 1], (b, 3, h, w). Load, save, crop, resize; photographs to look at and to search."""

import operator
from contextlib import nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from helpers.decode import decode
from helpers.errors import describe, one_line, unknown
from helpers.files import patience, whole


def check_images(x, *, within=True):
    """Raises TypeError or ValueError unless x is a float tensor (b,3,h,w), finite, and in [0, 1] if `within`."""
    if not torch.is_tensor(x) or not x.is_floating_point():
        raise TypeError(f"Got {describe(x)}; expected images as a float tensor. Try load_image for a file, x.float() / 255 for bytes.")
    if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape:
        raise ValueError(f"Got {describe(x)}; expected images (b, 3, h, w). Try x[None] for a single image, "
                         "x.permute(0, 3, 1, 2) where colour comes last, x.expand(-1, 3, -1, -1) for grey.")
    low, high = x.detach().aminmax()
    if not (low.isfinite() and high.isfinite()):
        raise ValueError("Got pixels that are infinite or not a number; expected finite ones. Try a smaller step.")
    if within and not (low >= 0 and high <= 1):
        raise ValueError(f"Got pixels from {low:.3g} to {high:.3g}; expected [0, 1]. Try x / 255 for bytes, x.clamp(0, 1) after a step; "
                         "normalisation is inside the network.")


def check_floats(x, what, *, least=0, finite=False):
    """Raises TypeError unless x, `what` it is ("a map"), is a tensor of floats, ValueError for fewer than `least` dimensions.

    With `finite` also unless its numbers are.
    """
    if not torch.is_tensor(x) or not x.is_floating_point():
        raise TypeError(f"Got {describe(x)} as {what}; expected a tensor of floats. Try torch.as_tensor(x).float().")
    if x.ndim < least:
        raise ValueError(f"Got {describe(x)} as {what}; expected at least {least} dimensions. Try x[None] for a single one.")
    if finite and not x.isfinite().all():
        raise ValueError(f"Got {what} in which some numbers are infinite or none; expected finite ones.")


def numbers(x, what):
    """What may come as a number, a list, an array or a tensor, as a tensor; raises TypeError for what is none of them."""
    try:
        x = torch.as_tensor(x)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"Got {describe(x)} as {what}; expected numbers, as a tensor, a list or an array.") from None
    if x.is_complex():
        raise TypeError(f"Got {describe(x)} as {what}; expected real numbers.")
    return x


def wide(x):
    """A tensor of float16 or bfloat16 in float32, others as they are: much is not defined in half precision, or too coarse in it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def in_double(x):
    """A tensor in float64; on the CPU where its own device has no such numbers, as Apple's GPUs."""
    try:
        return x.double()
    except (TypeError, RuntimeError):
        return x.cpu().double()


def full_precision(device):
    """A context in which nothing is cast to bf16 on this device, whatever context is around it."""
    kind = torch.device(device).type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def load_image(source, *, size=None):
    """An image file as a person sees it -> (1,3,h,w) in [0,1].

    `source` is a path, bytes, a file open for reading bytes, or a PIL image; none of them is changed. EXIF rotation and
    colour profiles are applied, transparency stands on white, of an animation the first frame is taken, and a picture of
    more than 1024 pixels a side is scaled down. `size` then crops to the largest centred square (or rectangle of that
    shape) and resizes it: 64, or (h, w). Raises ValueError, which says why, for anything that is not a picture,
    and for one of so many pixels that it could take more than 2 s or 500 MB: `helpers.decode.MILLIONS` says how many.
    """
    shape = None if size is None else pair(size)
    x = torch.from_numpy(np.asarray(decode(source), np.float32) / 255).permute(2, 0, 1)[None].contiguous()
    return x if shape is None else resize(center_crop(x, shape), shape)


def load_tiles(path, side):
    """A sheet of square pictures without gaps -> the pictures, row by row, (n,3,side,side) in [0,1]; of any size, unlike `load_image`."""
    with Image.open(path) as sheet:
        x = torch.from_numpy(np.asarray(sheet.convert("RGB"), np.float32) / 255)
    if x.shape[0] % side or x.shape[1] % side:
        raise ValueError(f"Got a sheet of {x.shape[0]} x {x.shape[1]} pixels; expected multiples of {side}.")
    return x.unfold(0, side, side).unfold(1, side, side).flatten(0, 1).contiguous()


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
    with whole(path, hint="an existing folder, and .png, .jpg or .webp") as beside:
        picture.save(beside)


def pair(size):
    """64 or (h, w) -> (h, w), whole numbers of at least 1."""
    try:
        height, width = map(operator.index, size if isinstance(size, (tuple, list)) else (size, size))
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(f"Got size {size!r}; expected whole pixels, at least 1. Try 64, or (height, width).")
    return height, width


def center_crop(images, shape):
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
    return scaled(images, pair(size), "bicubic").clamp(0, 1)


def scaled(images, size, mode):
    """Antialiased resizing, (b,c,h,w) -> (b,c,*size); bicubic may leave [0, 1]."""
    return F.interpolate(wide(images), size, mode=mode, antialias=True).to(images.dtype)


FOLDERS = {"scikit-image": ("skimage", "data"), "scikit-learn": ("sklearn", "datasets/images"),
           "matplotlib": ("matplotlib", "mpl-data/sample_data")}       # where their photographs lie


@dataclass(frozen=True)
class Photo:
    """A photograph that comes with an installed package: what it shows, whose it is, and under which licence."""

    title: str
    package: str
    file: str
    credit: str
    licence: str

    def load(self, size=None):
        """(1,3,h,w) in [0,1]; with `size`, the centred square (or (h, w)) of that size."""
        module, folder = FOLDERS[self.package]
        # Only the file is needed: the packages' own functions import for a second before they read it. An array has no colour
        # profile, which those functions leave unapplied, too.
        found = find_spec(module)
        if found is None:
            raise ImportError(f"This photograph lies in the package {self.package}, which is not installed. "
                              f"Try `pip install {self.package}`.")
        with Image.open(Path(found.origin).parent / folder / self.file) as picture:
            return load_image(Image.fromarray(np.asarray(picture)), size=size)


class Photos(dict):
    def __missing__(self, name):
        raise unknown("photograph", name, self)


def photos():
    """Photographs of scikit-image, scikit-learn and matplotlib, dict name -> Photo: photos()["cat"].load(64) -> (1,3,64,64)."""
    public, cc_by = "public domain", "CC BY 2.0"
    return Photos({
        "cat": Photo("a ginger cat, Chelsea", "scikit-image", "chelsea.png", "Stefan van der Walt", "CC0"),
        "espresso": Photo("an espresso in a cup", "scikit-image", "coffee.png", "Rachel Michetti, Pikolo Espresso Bar", "CC0"),
        "astronaut": Photo("the astronaut Eileen Collins", "scikit-image", "astronaut.png", "NASA", public),
        "rocket": Photo("a Falcon 9 rocket at its launch", "scikit-image", "rocket.jpg", "SpaceX", public),
        "hubble": Photo("the Hubble eXtreme Deep Field", "scikit-image", "hubble_deep_field.jpg", "NASA and ESA", public),
        "temple": Photo("a pavilion of the Summer Palace, Beijing", "scikit-learn", "china.jpg", "Daniel Buechele", cc_by),
        "dahlia": Photo("a dahlia", "scikit-learn", "flower.jpg", "vultilion", cc_by),
        "cameraman": Photo("a cameraman with his tripod", "scikit-image", "camera.png", "Lav Varshney", "CC0"),
        "hopper": Photo("Commodore Grace Hopper", "matplotlib", "grace_hopper.jpg", "US Navy", public),
    })


# ---- Many pictures to search ----

def sliding_crops(image, sides, *, size=64):
    """Squares of an image with each of these sides in pixels, overlapping by half, (1,3,h,w) -> (n,3,size,size).

    Of several images of any sizes, a list, one after the other: `crop_origins` says which square is whose.
    """
    images = image if isinstance(image, (list, tuple)) else [image]
    origins, first = crop_origins(images, sides), 0
    crops = images[0].new_empty(len(origins), 3, *pair(size))
    for image in images:
        for side in sides:
            squares = image.unfold(2, side, side // 2).unfold(3, side, side // 2)       # (1,3,rows,columns,side,side)
            squares = squares.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
            crops[first:first + len(squares)] = resize(squares, size)
            first += len(squares)
    return crops


def crop_origins(images, sides):
    """From which of several images each of their `sliding_crops` comes, list of (1,3,h,w) -> (n,)."""
    if not images:
        raise ValueError("Got no image; expected at least one, (1, 3, h, w).")
    for image in images:
        check_images(image)
        for side in sides:
            if not 2 <= side <= min(image.shape[2:]):
                raise ValueError(f"Got a side of {side} pixels for an image of {image.shape[2]} x {image.shape[3]}. "
                                 f"Try 2 to {min(image.shape[2:])}.")
    count = [sum(((h - side) // (side // 2) + 1) * ((w - side) // (side // 2) + 1) for side in sides)
             for h, w in (image.shape[2:] for image in images)]
    return torch.repeat_interleave(torch.arange(len(images)), torch.tensor(count))


def imagenette(folder, *, size=64, split="val", download=True):
    """Photographs of ten classes of ImageNet: torchvision's dataset, whose items are (image (3,size,size), label).

    99 MB are downloaded into `folder` at the first call, and verified. For `top_patches`, put it into a DataLoader.
    Raises ConnectionError where it cannot be had, ValueError where it cannot be written. F. Howard 2019,
    github.com/fastai/imagenette; research use only.
    """
    from torchvision.datasets import Imagenette
    from torchvision.datasets.utils import download_url, extract_archive

    def prepare(picture):
        return load_image(picture, size=size)[0]

    folder = Path(folder).expanduser()
    try:
        return Imagenette(folder, split=split, size="160px", transform=prepare)     # it may be there already
    except RuntimeError:
        if not download:
            raise
    print(f"Downloading Imagenette, 99 MB, into {folder} ...")
    address, md5 = Imagenette._ARCHIVES["160px"]
    archive = Path(folder, Path(address).name)
    try:
        with patience():
            download_url(address, folder, md5=md5)
    except (OSError, RuntimeError, HTTPException) as error:
        raise ConnectionError(f"Imagenette could not be downloaded: {one_line(error)}. Everything else here works without it: "
                              "go on with sliding_crops of photos().") from error
    # torchvision takes a folder that is there for whole, however little was unpacked into it before an interrupt.
    with whole(archive.with_suffix("")) as beside:
        extract_archive(archive, beside.parent)
    return Imagenette(folder, split=split, size="160px", transform=prepare)
