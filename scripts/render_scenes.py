"""Render the shipped scenes, 188 of each shape, into data/scenes.

The images are a mosaic of 64 x 64 tiles (a JPEG without chroma subsampling, whose blocks never
cross a tile), the masks another (a PNG); the attributes are NumPy's npz, kinds by their index.
"""

import argparse
from pathlib import Path

import numpy as np

from helpers.drawing import make_grid
from helpers.images import to_pil
from helpers.networks import DATA
from helpers.scenes import render_scenes


def save_scenes(scenes, folder):
    """Write images.jpg, masks.png, and attributes.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"quality": 86, "subsampling": 0, "optimize": True, "progressive": True}
    mosaic = lambda tiles: to_pil(make_grid(tiles, columns=32, gap=0))
    masks = scenes.masks[:, None].expand(-1, 3, -1, -1)
    mosaic(scenes.images).save(folder / "images.jpg", **options)
    mosaic(masks).convert("1").save(folder / "masks.png", optimize=True)
    columns = {name: labels.byte().numpy() for name, labels in scenes.attributes.items()}
    np.savez_compressed(folder / "attributes.npz", **columns)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DATA / "scenes")
    args = parser.parse_args(argv)
    save_scenes(render_scenes(1504, seed=0), args.out)


if __name__ == "__main__":
    main()
