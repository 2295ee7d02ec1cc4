"""How the shipped scenes were made:  python -m helpers.recipes.scenes

188 scenes of each shape, as one mosaic of 64 x 64 tiles (JPEG without chroma subsampling: its 8 x 8 blocks never
cross a tile), one of masks (1-bit PNG), and the attributes (numpy's npz; kinds as numbers, see KINDS).
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.files import whole
from helpers.world.scenes import COLUMNS, FOLDER, KINDS, RANGES, Scenes, render_scenes

SEED, COUNT, QUALITY = 0, 1504, 86


def as_tiles(pictures):
    """(n,h,w,...) -> (n/columns * h, columns * w, ...)."""
    n, h, w, *rest = pictures.shape
    return pictures.reshape(n // COLUMNS, COLUMNS, h, w, *rest).swapaxes(1, 2).reshape(n // COLUMNS * h, COLUMNS * w, *rest)


def save_scenes(scenes: Scenes, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = (scenes.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    with whole(folder / "images.jpg") as beside:
        Image.fromarray(as_tiles(pixels)).save(beside, quality=QUALITY, subsampling=0, optimize=True, progressive=True)
    with whole(folder / "masks.png") as beside:
        Image.fromarray(as_tiles(scenes.masks.numpy())).save(beside, optimize=True)
    columns = {name: scenes.codes(name).byte().numpy() for name in KINDS}
    columns |= {name: np.array(scenes.attributes[name], np.float32) for name in RANGES}
    with whole(folder / "attributes.npz") as beside:
        np.savez_compressed(beside, **columns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.scenes", description=__doc__.split("\n\n")[1])
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    save_scenes(render_scenes(COUNT, seed=SEED), out)
    print(f"{COUNT} scenes, {sum(f.stat().st_size for f in out.iterdir()) / 1e6:.2f} MB in {out}")
