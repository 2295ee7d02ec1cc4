"""Many pictures to search: crops of a few photographs at several scales, or the photographs of Imagenette."""

import torch

from helpers.images import check_images, load_image, resize


def crops(image, sides, *, size=64):
    """Squares of an image with each of these sides in pixels, overlapping by half, (1,3,h,w) -> (n,3,size,size)."""
    check_images(image)
    parts = []
    for side in sides:
        if not 2 <= side <= min(image.shape[2:]):
            raise ValueError(f"Got a side of {side} pixels for an image of {image.shape[2]} x {image.shape[3]}. "
                             f"Try 2 to {min(image.shape[2:])}.")
        squares = image.unfold(2, side, side // 2).unfold(3, side, side // 2)       # (1,3,rows,columns,side,side)
        parts.append(resize(squares.permute(0, 2, 3, 1, 4, 5).flatten(0, 2), size))
    return torch.cat(parts)


def imagenette(folder, *, size=64, split="val", download=True):
    """Photographs of ten classes of ImageNet: torchvision's dataset, whose items are (image (3,size,size), label).

    99 MB are downloaded into `folder` at the first call, and verified. For `top_patches`, put it into a DataLoader.
    Raises ConnectionError where it cannot be had. F. Howard 2019, github.com/fastai/imagenette; research use only.
    """
    from torchvision.datasets import Imagenette

    def prepare(picture):
        return load_image(picture, size=size)[0]

    try:
        return Imagenette(folder, split=split, size="160px", transform=prepare)     # it may be there already
    except RuntimeError:
        if not download:
            raise
    print(f"Downloading Imagenette, 99 MB, into {folder} ...")
    try:
        return Imagenette(folder, split=split, size="160px", download=True, transform=prepare)
    except (OSError, RuntimeError) as error:
        raise ConnectionError(f"Imagenette could not be downloaded: {error}. Everything else here works without it: "
                              "go on with crops of photos().") from error
