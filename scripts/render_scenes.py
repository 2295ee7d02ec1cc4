"""Render the shipped scenes, 188 of each shape, into data/scenes.

The images are a mosaic of 64 x 64 tiles (a JPEG without chroma subsampling, whose blocks never
cross a tile), the masks another (a PNG); the attributes are NumPy's npz, kinds by their index.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.networks import DATA
from helpers.scenes import KINDS, RANGES, render_scenes

COLUMNS = 32


def mosaic(tiles):
    """Arrange tiles (n,h,w,...) row by row: (n/32 * h, 32 * w, ...)."""
    n, h, w, *rest = tiles.shape
    grid = tiles.reshape(n // COLUMNS, COLUMNS, h, w, *rest).swapaxes(1, 2)
    return Image.fromarray(grid.reshape(n // COLUMNS * h, COLUMNS * w, *rest))


def save_scenes(scenes, folder):
    """Write images.jpg, masks.png, and attributes.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = (scenes.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    options = {"quality": 86, "subsampling": 0, "optimize": True, "progressive": True}
    mosaic(pixels).save(folder / "images.jpg", **options)
    mosaic(scenes.masks.numpy()).save(folder / "masks.png", optimize=True)
    columns = {name: scenes.labels_of(name).byte().numpy() for name in KINDS}
    columns |= {name: np.array(scenes.attributes[name], np.float32) for name in RANGES}
    np.savez_compressed(folder / "attributes.npz", **columns)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DATA / "scenes")
    parser.add_argument("--count", type=int, default=1504, help="a multiple of 32")
    args = parser.parse_args(argv)
    save_scenes(render_scenes(args.count, seed=0), args.out)


if __name__ == "__main__":
    main()
