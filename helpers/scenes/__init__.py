"""Render scenes with ground truth: the object's mask, and what each image shows."""

import colorsys
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers.errors import unknown_name
from helpers.images import load_tiles
from helpers.scenes.renderer import camera_rays, pixel_grid, render, trace
from helpers.scenes.signed_distance import RADIUS, depth_below_center

SHAPES = ("sphere", "cube", "cylinder", "cone", "torus", "capsule", "pyramid", "cross")
KINDS = {
    "shape": SHAPES,
    "material": ("plain", "stripes", "checks", "dots", "marble", "wood"),
    "ground": ("grass", "gravel", "brick"),
    "light": ("left", "right", "front", "back"),
    "weather": ("noon", "overcast", "sunset", "dusk"),
}
# Attributes drawn uniformly between two bounds. Angles are in degrees. `fill` is the fraction of
# the image that the object should cover; `left` and `top` (0 to 1) place it where it still fits.
RANGES = {
    "yaw": (0, 360), "lean": (0, 1), "elevation": (9, 26),
    "fill": (0.13, 0.30), "left": (0, 1), "top": (0, 1),
    "hue": (0, 1), "saturation": (0.5, 0.95), "brightness": (0.6, 1.0),
    "hue2": (0.25, 0.75), "brightness2": (0.25, 1.0),
    "scale": (0.8, 1.25), "gloss": (0.0, 0.6),
    "grain_yaw": (0, 360), "grain_pitch": (-60, 60), "grain_at": (0, 6),
    "light_azimuth": (-30, 30), "light_elevation": (28, 58), "sun": (0.75, 1.0),
    "ground_hue": (0, 1), "ground_saturation": (0.05, 0.45), "ground_brightness": (0.55, 0.9),
    "ground_turn": (0, 360), "ground_x": (0, 1), "ground_y": (0, 1), "tile": (5.0, 8.0),
    "sky_hue": (-0.04, 0.04), "clouds": (0.0, 0.8), "cloud_phase": (0, 20),
}
# Weather: hue, saturation, and brightness of the zenith and of the horizon; RGB of the sun.
WEATHER = {
    "noon": ((0.59, 0.70, 0.82), (0.56, 0.25, 0.97), (1.0, 0.97, 0.90)),
    "overcast": ((0.60, 0.12, 0.70), (0.58, 0.06, 0.88), (0.85, 0.87, 0.90)),
    "sunset": ((0.66, 0.45, 0.62), (0.07, 0.60, 0.98), (1.0, 0.80, 0.58)),
    "dusk": ((0.70, 0.60, 0.45), (0.92, 0.35, 0.80), (0.95, 0.78, 0.80)),
}
AZIMUTH = {"front": 0, "right": 90, "back": 180, "left": 270}
MAX_LEAN = {"torus": 80, "cross": 25, "capsule": 30}        # degrees; other shapes: 14
CAMERA_DISTANCE = 5.5       # from the object's center
OUTLINE_SIDE = 48           # pixels, of the small image in which `find_outline` looks
MARGIN = 0.04               # between the object and each edge; the image is 2 wide
FOLDER = Path(__file__).parents[2] / "data" / "scenes"


@dataclass
class Scenes:
    """Images (n,3,h,w) in [0,1], the objects' masks (n,h,w) bool, and the shapes as labels (n,).

    `attributes` has labels (n,) of each of KINDS by its name, the position of the kind in the list.
    """

    images: torch.Tensor
    masks: torch.Tensor
    labels: torch.Tensor
    attributes: dict

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """Select scenes by a number, a slice, a list, or a tensor of indices or booleans."""
        keep = index
        if not isinstance(index, slice):    # a slice shares memory; a number gives a batch of one
            keep = torch.arange(len(self), device=self.labels.device)[index].reshape(-1)
        attributes = {name: labels[keep] for name, labels in self.attributes.items()}
        return Scenes(self.images[keep], self.masks[keep], self.labels[keep], attributes)


def scenes(device="cpu"):
    """Load the shipped scenes, 188 of each shape at 64 x 64 pixels, unseen in training."""
    images = load_tiles(FOLDER / "images.jpg", 64).float().div_(255).to(device)
    masks = load_tiles(FOLDER / "masks.png", 64)[:, 0].to(device) > 127
    with np.load(FOLDER / "attributes.npz") as columns:
        attributes = {name: torch.from_numpy(columns[name]).long().to(device) for name in KINDS}
    return Scenes(images, masks, attributes["shape"], attributes)


def render_scenes(n, *, seed=0, size=64, device="cpu", **fixed):
    """Render scenes of size x size pixels with their ground truth.

    `n` is a number or a list of indices: scene 7 of a seed is always the same. Shapes alternate.
    An attribute given by name is fixed, and all others stay: `render_scenes([7], material="wood")`
    is scene 7 in wood. KINDS and RANGES list the attributes; give one value, or a list of one for
    each scene. Raises KeyError for an unknown attribute.
    """
    indices = range(n) if isinstance(n, int) else [int(index) for index in n]
    drawn = [draw_attributes(index, seed) for index in indices]
    for name, values in fixed.items():
        if name not in drawn[0]:
            raise unknown_name("attribute", name, drawn[0])
        each = values if isinstance(values, (list, tuple)) else [values] * len(drawn)
        for attributes, value in zip(drawn, each, strict=True):
            attributes[name] = value
    images, masks = zip(*[render(lay_out(a, device), size) for a in drawn])
    attributes = {name: torch.tensor([kinds.index(a[name]) for a in drawn], device=device)
                  for name, kinds in KINDS.items()}
    return Scenes(torch.stack(images), torch.stack(masks), attributes["shape"], attributes)


def draw_attributes(index, seed):
    """Draw all attributes of scene `index` at random; its shape is SHAPES[index % 8]."""
    numbers = np.random.default_rng([seed, index]).random(len(KINDS) + len(RANGES)).tolist()
    drawn = {name: kinds[int(u * len(kinds))] for u, (name, kinds) in zip(numbers, KINDS.items())}
    for u, (name, (low, high)) in zip(numbers[len(KINDS):], RANGES.items()):
        drawn[name] = low + (high - low) * u
    return drawn | {"shape": SHAPES[index % len(SHAPES)]}


def rotation(axis, degrees):
    """Return the rotation about the axis "x" or "y", (3,3) float64."""
    angle = math.radians(degrees)
    c, s = math.cos(angle), math.sin(angle)
    rows = {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]]}
    return torch.tensor(rows[axis], dtype=torch.float64)


def linear_rgb(hue, saturation, brightness):
    """Convert a color to linear RGB, (3,) float64; the hue may be any number and wraps around."""
    rgb = colorsys.hsv_to_rgb(hue % 1, saturation, brightness)
    return torch.tensor(rgb, dtype=torch.float64) ** 2.2


def object_colors(scene):
    """Return both colors of the object's material."""
    hue, saturation = scene["hue"], scene["saturation"]
    if scene["material"] == "wood":
        return linear_rgb(0.05 + 0.06 * hue, 0.65, 0.85), linear_rgb(0.04 + 0.05 * hue, 0.75, 0.45)
    if scene["material"] == "marble":
        return linear_rgb(hue, 0.12, 0.98), linear_rgb(hue, saturation, 0.35)
    second = linear_rgb(hue + scene["hue2"], 0.6 * saturation, scene["brightness2"])
    return linear_rgb(hue, saturation, scene["brightness"]), second


def lay_out(attributes, device):
    """Compute pose, camera, light, and colors from attributes, for the renderer."""
    scene = attributes | object_pose(attributes) | lights(attributes)
    scene["color"], scene["second_color"] = object_colors(attributes)
    scene["grain"] = rotation("y", scene["grain_yaw"]) @ rotation("x", scene["grain_pitch"])
    ground = scene["ground_hue"], scene["ground_saturation"], scene["ground_brightness"]
    scene["ground_color"] = linear_rgb(*ground)
    scene["ground_axes"] = rotation("y", scene["ground_turn"])[::2, ::2]
    scene["ground_at"] = torch.tensor([scene["ground_x"], scene["ground_y"]]).double()
    scene |= place_object(scene)
    return {k: v.to(device, torch.float32) if torch.is_tensor(v) else v for k, v in scene.items()}


def object_pose(scene):
    """Put the object on the ground and the camera in front of it."""
    lean = MAX_LEAN.get(scene["shape"], 14) * scene["lean"] ** 2
    turn = rotation("y", scene["yaw"]) @ rotation("x", lean)
    height = float(depth_below_center(scene["shape"], turn))
    center = torch.tensor([0.0, height, 0.0], dtype=torch.float64)
    camera = rotation("x", -scene["elevation"])
    eye = center + CAMERA_DISTANCE * camera[:, 2]
    forward, up = -camera[:, 2], camera[:, 1]
    return {"turn": turn, "center": center, "eye": eye, "forward": forward, "up": up}


def lights(scene):
    """Compute the direction and color of the sun, and the colors of the sky."""
    (zenith_hue, *zenith), (horizon_hue, *horizon), sun_rgb = WEATHER[scene["weather"]]
    zenith_color = linear_rgb(zenith_hue + scene["sky_hue"], *zenith)
    horizon_color = linear_rgb(horizon_hue + scene["sky_hue"], *horizon)
    sunlight = torch.tensor(sun_rgb, dtype=torch.float64) ** 2.2 * scene["sun"]
    turn = rotation("y", AZIMUTH[scene["light"]] + scene["light_azimuth"])
    tilt = rotation("x", -scene["light_elevation"])
    ambient = (zenith_color + horizon_color) / 2 + 0.1
    return {"zenith": zenith_color, "horizon": horizon_color, "ambient": ambient,
            "sun_color": 1.15 * sunlight, "to_light": (turn @ tilt)[:, 2]}


def place_object(scene):
    """Compute the zoom and shift that let the object cover `fill` of the image."""
    first_zoom = CAMERA_DISTANCE / (1.3 * RADIUS)            # at which every object is inside
    centered = torch.zeros(2, dtype=torch.float64)
    low, high, covered = find_outline(scene | {"zoom": first_zoom, "shift": centered})
    size = high - low                                       # of the object, (width, height)
    enlarge = math.sqrt(scene["fill"] / covered)
    enlarge = min(enlarge, (2 - 4 * MARGIN) / size.max().item())
    room = 2 - enlarge * size - 2 * MARGIN                  # for the object to move in
    place = torch.tensor([scene["left"], 1 - scene["top"]], dtype=torch.float64)
    corner = -1 + MARGIN + room * place                     # where its lower left corner goes
    return {"zoom": first_zoom * enlarge, "shift": corner - enlarge * low}


def find_outline(scene):
    """Find the corners (x, y) of the object's bounding box, and the fraction of pixels it covers.

    Coordinates are those of `pixel_grid`, from -1 to 1.
    """
    grid = pixel_grid(OUTLINE_SIDE, scene["eye"])
    rays = camera_rays(scene, grid).reshape(-1, 3)
    _, hit = trace(scene, rays)
    centers = grid.reshape(-1, 2)[hit]
    half_pixel = 1 / OUTLINE_SIDE
    low = centers.amin(0) - half_pixel
    high = centers.amax(0) + half_pixel
    return low, high, hit.double().mean()
