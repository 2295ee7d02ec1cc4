"""A small rendered world whose truth is known: each picture comes with its object's mask and every attribute."""

import colorsys
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.errors import one_line, unknown
from helpers.world.renderer import camera_rays, pixel_grid, render, trace
from helpers.world.solids import REACH, lowest

SHAPES = ("sphere", "cube", "cylinder", "cone", "torus", "capsule", "pyramid", "cross")
KINDS = {
    "shape": SHAPES,
    "material": ("plain", "stripes", "checks", "dots", "marble", "wood"),
    "ground": ("grass", "gravel", "brick"),
    "light": ("left", "right", "front", "back"),
    "weather": ("noon", "overcast", "sunset", "dusk"),
}
# Attributes drawn evenly between two bounds. Angles are in degrees; `fill` is the share of the picture that the
# object should cover; `left` and `top` place it (0 to 1) where it still fits into the picture.
RANGES = {
    "yaw": (0, 360), "lean": (0, 1), "elevation": (9, 26), "fill": (0.13, 0.30), "left": (0, 1), "top": (0, 1),
    "hue": (0, 1), "saturation": (0.5, 0.95), "brightness": (0.6, 1.0), "hue2": (0.25, 0.75), "brightness2": (0.25, 1.0),
    "scale": (0.8, 1.25), "gloss": (0.0, 0.6), "grain_yaw": (0, 360), "grain_pitch": (-60, 60), "grain_at": (0, 6),
    "light_azimuth": (-30, 30), "light_elevation": (28, 58), "sun": (0.75, 1.0),
    "ground_hue": (0, 1), "ground_saturation": (0.05, 0.45), "ground_brightness": (0.55, 0.9), "ground_turn": (0, 360),
    "ground_x": (0, 1), "ground_y": (0, 1), "tile": (5.0, 8.0), "sky_hue": (-0.04, 0.04), "clouds": (0.0, 0.8), "cloud_phase": (0, 20),
}
# Weather: hue, saturation and brightness of the zenith and of the horizon; colour of the sun.
WEATHER = {
    "noon": ((0.59, 0.70, 0.82), (0.56, 0.25, 0.97), (1.0, 0.97, 0.90)),
    "overcast": ((0.60, 0.12, 0.70), (0.58, 0.06, 0.88), (0.85, 0.87, 0.90)),
    "sunset": ((0.66, 0.45, 0.62), (0.07, 0.60, 0.98), (1.0, 0.80, 0.58)),
    "dusk": ((0.70, 0.60, 0.45), (0.92, 0.35, 0.80), (0.95, 0.78, 0.80)),
}
STEEP = {"torus": 80, "cross": 25, "capsule": 30}   # degrees by which a shape may lean; others: 14
FOLDER, COLUMNS = Path(__file__).parents[2] / "data" / "scenes", 32       # tiles in a row of each file


@dataclass
class Scenes:
    """Pictures with their truth: images (n,3,h,w) in [0,1], masks (n,h,w) bool, labels (n,), attributes name -> list of n."""

    images: torch.Tensor
    masks: torch.Tensor
    labels: torch.Tensor
    attributes: dict

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """A part of the scenes: a slice, a list of indices, a tensor of indices or a boolean tensor."""
        keep = torch.arange(len(self))[index].reshape(-1)    # one index gives a batch of one
        return Scenes(self.images[keep], self.masks[keep], self.labels[keep],
                      {name: [column[i] for i in keep.tolist()] for name, column in self.attributes.items()})

    def codes(self, name):
        """An attribute as whole numbers for a classifier, (n,): its place in KINDS[name]."""
        if name not in KINDS:
            raise unknown("attribute with kinds", name, KINDS)
        return torch.tensor([KINDS[name].index(value) for value in self.attributes[name]])


def draw_attributes(index, seed):
    """All attributes of scene `index` of the world `seed`; its shape is SHAPES[index % 8]."""
    u = iter(np.random.default_rng([seed, index]).random(len(KINDS) + len(RANGES)))
    drawn = {name: kinds[int(next(u) * len(kinds))] for name, kinds in KINDS.items()}
    drawn |= {name: low + (high - low) * next(u) for name, (low, high) in RANGES.items()}
    return drawn | {"shape": SHAPES[index % len(SHAPES)]}


def rotation(axis, degrees):
    """Rotation about one of the axes "x" or "y", (3,3) float64."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows = {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]]}
    return torch.tensor(rows[axis], dtype=torch.float64)


def linear(hue, saturation, brightness):
    return torch.tensor(colorsys.hsv_to_rgb(hue % 1, saturation, brightness), dtype=torch.float64) ** 2.2


def lay_out(a):
    """Attributes -> what the renderer needs: camera, pose, light and colours, in float64 on the CPU."""
    zenith, horizon, sun = WEATHER[a["weather"]]
    turn = rotation("y", a["yaw"]) @ rotation("x", STEEP.get(a["shape"], 14) * a["lean"] ** 2)
    centre = torch.tensor([0.0, float(lowest(a["shape"], turn)), 0.0], dtype=torch.float64)
    backwards = rotation("x", -a["elevation"])[:, 2]
    azimuth = {"front": 0, "right": 90, "back": 180, "left": 270}[a["light"]] + a["light_azimuth"]
    sun = torch.tensor(sun, dtype=torch.float64) ** 2.2 * a["sun"]
    scene = {
        "shape": a["shape"], "material": a["material"], "ground": a["ground"], "turn": turn, "centre": centre,
        "eye": centre + 5.5 * backwards, "forward": -backwards, "up": rotation("x", -a["elevation"])[:, 1],
        "to_light": rotation("y", azimuth) @ rotation("x", -a["light_elevation"])[:, 2], "sun": 1.15 * sun,
        "zenith": linear(zenith[0] + a["sky_hue"], *zenith[1:]), "horizon": linear(horizon[0] + a["sky_hue"], *horizon[1:]),
        "clouds": a["clouds"], "cloud_phase": a["cloud_phase"], "gloss": a["gloss"], "scale": a["scale"], "grain_at": a["grain_at"],
        "grain": rotation("y", a["grain_yaw"]) @ rotation("x", a["grain_pitch"]), "tile": a["tile"],
        "ground_colour": linear(a["ground_hue"], a["ground_saturation"], a["ground_brightness"]),
        "ground_turn": rotation("y", a["ground_turn"])[::2, ::2], "ground_at": torch.tensor([a["ground_x"], a["ground_y"]]).double(),
        "colour": linear(a["hue"], a["saturation"], a["brightness"]),
        "colour2": linear(a["hue"] + a["hue2"], 0.6 * a["saturation"], a["brightness2"]),
    }
    if a["material"] == "wood":
        scene |= {"colour": linear(0.05 + 0.06 * a["hue"], 0.65, 0.85), "colour2": linear(0.04 + 0.05 * a["hue"], 0.75, 0.45)}
    if a["material"] == "marble":
        scene |= {"colour": linear(a["hue"], 0.12, 0.98), "colour2": linear(a["hue"], a["saturation"], 0.35)}
    return scene | {"ambient": (scene["zenith"] + scene["horizon"]) / 2 + 0.1} | place_object(scene, a)


def place_object(scene, a):
    """Zoom and shift that let the object fill `fill` of the picture, inside but for a sharp tip, at (`left`, `top`)."""
    wide = {"zoom": 5.5 / (1.3 * REACH), "shift": torch.zeros(2, dtype=torch.float64)}
    grid = pixel_grid(48, 48, scene["eye"])
    hit = trace(scene | wide, camera_rays(scene | wide, grid).reshape(-1, 3))[1].reshape(48, 48)
    low, high = grid[hit].amin(0) - 1 / 48, grid[hit].amax(0) + 1 / 48    # half a cell more on each side
    grow = min(math.sqrt(a["fill"] / hit.double().mean()), 1.84 / (high - low).max().item())
    room = 2 - grow * (high - low) - 0.08
    place = torch.tensor([a["left"], 1 - a["top"]], dtype=torch.float64)
    return {"zoom": wide["zoom"] * grow, "shift": -1 + 0.04 + room * place - grow * low}


def render_scenes(n, *, seed=0, size=64, device="cpu", **fixed):
    """Rendered scenes with their truth, n scenes -> Scenes of size x size pixels.

    `n` is a number or the indices of scenes: scene 7 of a seed is the same picture in any company. Shapes take turns.
    An attribute given by name is fixed, and all others stay as they were: `render_scenes([7], material="marble")` is
    scene 7, but in marble. KINDS and RANGES list the attributes; one value for all scenes, or a list of one for each.
    """
    indices = list(range(n)) if isinstance(n, int) else [int(i) for i in n]
    for name, value in fixed.items():
        if name not in KINDS and name not in RANGES:
            raise unknown("attribute", name, [*KINDS, *RANGES])
        values = list(value) if isinstance(value, (list, tuple, np.ndarray, torch.Tensor)) else [value] * len(indices)
        if len(values) != len(indices):
            raise ValueError(f"{name}: got {len(values)} values for {len(indices)} scenes; give one value, or one for each scene.")
        for v in values:
            if name in KINDS and v not in KINDS[name]:
                raise unknown(name, v, KINDS[name])
        fixed[name] = values
    images, masks, drawn = [], [], []
    for k, index in enumerate(indices):
        drawn.append(draw_attributes(index, seed) | {name: values[k] for name, values in fixed.items()})
        scene = {key: v.to(device, torch.float32) if torch.is_tensor(v) else v for key, v in lay_out(drawn[-1]).items()}
        image, mask = render(scene, size)
        images.append(image), masks.append(mask)
    labels = torch.tensor([SHAPES.index(a["shape"]) for a in drawn], device=device)
    return Scenes(torch.stack(images), torch.stack(masks), labels, {name: [a[name] for a in drawn] for name in drawn[0]})


def read_tiles(path, columns=COLUMNS, side=64):
    """A file of tiles -> the tiles (n,side,side,...), row by row."""
    picture = np.asarray(Image.open(path))
    rows, channels = picture.shape[0] // side, picture.shape[2:]
    return picture.reshape(rows, side, columns, side, *channels).swapaxes(1, 2).reshape(rows * columns, side, side, *channels)


def scenes(folder=FOLDER):
    """The shipped scenes, 188 of each shape -> Scenes of 64 x 64 pixels. No network of ours was trained on them."""
    for name in ("images.jpg", "masks.png", "attributes.npz"):
        if not (Path(folder) / name).exists():
            raise ValueError(f"{folder} has no {name}. Try `git checkout -- data`, or render them: python -m helpers.recipes.scenes.")
    try:
        columns = dict(np.load(Path(folder) / "attributes.npz"))
        masks = torch.from_numpy(read_tiles(Path(folder) / "masks.png"))
        images = torch.from_numpy(read_tiles(Path(folder) / "images.jpg")).permute(0, 3, 1, 2).float().div_(255)
        if {len(images), len(masks)} != {len(columns[name]) for name in (*KINDS, *RANGES)}:
            raise ValueError("its pictures, masks and attributes are not of the same scenes")
    except Exception as error:      # of Pillow, NumPy or zipfile
        raise ValueError(f"{folder} is damaged: {one_line(error)}. Try `git checkout -- data`, or render them: "
                         "python -m helpers.recipes.scenes.") from None
    attributes = {name: [kinds[code] for code in columns[name]] for name, kinds in KINDS.items()}
    attributes |= {name: columns[name].tolist() for name in RANGES}
    return Scenes(images, masks, torch.from_numpy(columns["shape"]).long(), attributes)
