"""Style and texture images drawn by code: paint, glass, ink, wood, dots, stones and waves, each from a seed."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from helpers.errors import unknown
from helpers.images import center_crop, pair, photos, resize

FINE = 3        # everything is drawn so many times larger, then averaged: smooth edges without further ado


def noise(rng, shape, scale):
    """A smooth random field of mean 0 and standard deviation 1, (h,w), whose hills are about `scale` wide."""
    few = max(1, int(scale / 4))            # blurred coarsely, then enlarged: wide blurs are slow
    small = gaussian_filter(rng.standard_normal([n // few + 5 for n in shape]), scale / few / 2)
    large = np.asarray(Image.fromarray(small.astype(np.float32)).resize([n + 5 * few for n in shape[::-1]], Image.BICUBIC))
    field = large[:shape[0], :shape[1]]
    return (field - field.mean()) / field.std()


def colours(text):
    """Hexadecimal colours, (n,3) in [0,1]."""
    return np.array([[int(word[k:k + 2], 16) for k in (0, 2, 4)] for word in text.split()]) / 255


def blend(palette, t):
    """Colours along a palette, t in [0,1] of any shape -> (...,3)."""
    where = np.clip(t, 0, 1) * (len(palette) - 1)
    return np.stack([np.interp(where, range(len(palette)), channel) for channel in palette.T], -1)


def ink(colour):
    return tuple(int(v) for v in np.clip(colour, 0, 1) * 255)


def strokes(rng, shape, unit):
    """Oil paint: long strokes that follow a turning field, each with a dark and a light side; broad ones first."""
    h, w = shape
    palette = colours("0b1a4a 16358c 2a6cc4 58a8dc bfe0d2 f7dc6a f2a51e")
    angle = 2 * noise(rng, shape, 60 * unit) + np.arctan2(np.mgrid[:h, :w][0] - h / 2, np.mgrid[:h, :w][1] - w / 2) + np.pi / 2
    tone = 0.42 + 0.26 * noise(rng, shape, 36 * unit)
    canvas = Image.new("RGB", (w, h), ink(palette[1]))
    pen = ImageDraw.Draw(canvas)
    for thickness, number in ((9, 500), (6, 1100), (4, 1500)):
        for y, x in rng.uniform((0, 0), (h, w), (int(number * h * w / (256 * unit) ** 2), 2)):
            colour, path = blend(palette, tone[int(y), int(x)] + rng.normal(0, 0.1)) + rng.normal(0, 0.03, 3), []
            for _ in range(9):
                path.append((x, y))
                turn = angle[int(y) % h, int(x) % w]
                x, y = x + 3 * unit * np.cos(turn), y + 3 * unit * np.sin(turn)
            side = np.array([-np.sin(turn), np.cos(turn)]) * thickness * unit / 4
            for shift, share, light in ((1, 1, 0.62), (0, 0.8, 1), (-0.8, 0.25, 1.25)):
                pen.line([tuple(point + shift * side) for point in path], ink(colour * light), round(thickness * unit * share), "curve")
    return np.asarray(canvas) / 255


def cells(rng, shape, size):
    """Voronoi cells of about `size`: the number of each pixel's cell, how far it is from the cell's border, and the cells' centres."""
    h, w = shape
    rows, columns = np.mgrid[-1:h / size + 1, -1:w / size + 1]
    centres = size * (np.stack([rows, columns], -1) + rng.uniform(0.05, 0.95, (*rows.shape, 2))).reshape(-1, 2)
    distance, index = cKDTree(centres).query(np.indices(shape).reshape(2, -1).T, k=2)
    return index[:, 0].reshape(shape), (distance[:, 1] - distance[:, 0]).reshape(shape) / 2, centres


def glass(rng, shape, unit):
    """Stained glass: cells of one colour each, brighter within, with leads between them."""
    palette = colours("c8102e f2a900 00663f 0a3a9c 5b1a78 e8602c 13a0b8 f4d35e 7a0c22")
    index, border, centres = cells(rng, shape, 24 * unit)
    pane = palette[rng.integers(len(palette), size=len(centres))] * rng.uniform(0.75, 1.1, (len(centres), 1))
    light = 0.72 + 0.05 * np.clip(border / unit, 0, 9) + 0.07 * noise(rng, shape, 5 * unit)
    lead = np.clip((border / unit - 1.1) / 0.5, 0, 1)
    return (pane[index] * light[..., None]) * lead[..., None] + 0.05 * (1 - lead[..., None])


def marbling(rng, shape, unit):
    """Marbled paper: bands of ink, drawn out by a comb and by a turning of the bath."""
    y, x = np.mgrid[:shape[0], :shape[1]] / unit
    comb = 9 * np.abs((x + 6 * noise(rng, shape, 50 * unit)) / 13 % 2 - 1) ** 1.5
    v = y + comb * 2.2 + 15 * noise(rng, shape, 55 * unit) + 1.2 * noise(rng, shape, 9 * unit)
    palette = colours("7b1e3a f3e3c3 1f4e5f e0a030 f3e3c3 b5432a 14323f f3e3c3 d98c5f")
    edges = np.cumsum(rng.uniform(2.5, 6.5, 400)) - 400
    return palette[np.searchsorted(edges, v) * 5 % len(palette)]


def woodcut(rng, shape, unit):
    """A woodcut: in each field lines of one direction, thick where it is dark, thin where it is light."""
    y, x = np.mgrid[:shape[0], :shape[1]] / unit
    index, border, centres = cells(rng, shape, 58 * unit)
    turn, tone = rng.uniform(0, np.pi, len(centres))[index], rng.uniform(0.25, 0.75, len(centres))[index]
    bent = 5 * noise(rng, shape, 40 * unit)
    phase = (x * np.cos(turn) + y * np.sin(turn) + bent) / 5.5 % 1
    line = np.abs(2 * phase - 1) < np.clip(tone + 0.13 * noise(rng, shape, 30 * unit), 0.2, 0.8)
    black = line | (border < 1.3 * unit)
    return np.where(black[..., None], colours("17130f"), colours("f0e6d0"))


def points(rng, shape, unit):
    """Points of paint: most near the colour of their place, some its opposite."""
    h, w = shape
    palette = colours("1b4965 2f7f86 7fb069 e6c84f f08a4b d1495b 8e5aa8")
    tone = 0.5 + 0.27 * noise(rng, shape, 48 * unit)
    canvas = Image.new("RGB", (w, h), ink(colours("efe6d2")[0]))
    pen = ImageDraw.Draw(canvas)
    for y, x in rng.uniform((0, 0), (h, w), (int(9000 * h * w / (256 * unit) ** 2), 2)):
        t, r = tone[int(y), int(x)] + rng.normal(0, 0.07), unit * rng.uniform(1.6, 2.7)
        colour = blend(palette, (t + 0.5) % 1 if rng.random() < 0.16 else t) + rng.normal(0, 0.05, 3)
        pen.ellipse((x - r, y - r, x + r, y + r), ink(colour))
    return np.asarray(canvas) / 255


def mosaic(rng, shape, unit):
    """A mosaic: stones in rings round a few centres, no two of quite the same colour."""
    h, w = shape
    y, x = np.mgrid[:h, :w] / unit
    centres = rng.uniform((0.1 * h, 0.1 * w), (0.9 * h, 0.9 * w), (3, 2)) / unit
    radii = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centres])
    nearest = radii.argmin(0)
    radius, (cy, cx) = radii.min(0), np.moveaxis(centres[nearest], -1, 0)
    ring = radius // 8
    around = (np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5) * np.maximum(np.round(2 * np.pi * (ring + 0.5) * 8 / 9), 1)
    stone = (ring + 131 * np.floor(around) + 7001 * nearest).astype(int) % 4096
    palette = colours("f5e9cf 0f6e78 e2b33c 12394f c2543a f0d9a0 2a9d8f")
    colour = palette[((ring + 2 * nearest) // 2 % len(palette)).astype(int)] + rng.normal(0, 0.06, (4096, 3))[stone]
    gap = np.minimum.reduce([radius % 8, 8 - radius % 8, *(9 * np.minimum(around % 1, 1 - around % 1)[None])])
    return np.where((gap < 0.8)[..., None], colours("3a3430"), colour)


def waves(rng, shape, unit):
    """Overlapping scales of rings, as on Japanese cloth, in indigo and white."""
    h, w = shape
    canvas = Image.new("RGB", (w, h), ink(colours("0f2350")[0]))
    pen, r = ImageDraw.Draw(canvas), 26 * unit
    palette = colours("0f2350 f6f1e4 1f4a93 f6f1e4 6fa3cf f6f1e4 12306b")
    for row in range(-1, int(2 * h / r) + 4):
        for column in range(-1, int(w / (2 * r)) + 2):
            x, y = (2 * column + row % 2) * r, row * r / 2
            gold = rng.random() < 0.12
            for k, colour in enumerate(palette):
                s = r * (1 - k / len(palette))
                pen.ellipse((x - s, y - s, x + s, y + s), ink(colours("d9a441")[0] if gold and k % 2 == 0 else colour))
    return np.asarray(canvas) / 255


STYLES = {f.__name__: f for f in (strokes, glass, marbling, woodcut, points, mosaic, waves)}


def draw_style(name, size=256, *, seed=0):
    """A style by its name, (1,3,h,w) in [0,1]; the same seed draws the same. `STYLES` has the names.

    `size` is 256 or (h, w); strokes, stones and dots grow with the shorter side.
    """
    if name not in STYLES:
        raise unknown("style", name, STYLES)
    h, w = pair(size)
    picture = STYLES[name](np.random.default_rng(seed), (FINE * h, FINE * w), FINE * min(h, w) / 256)
    fine = torch.from_numpy(np.ascontiguousarray(np.clip(picture, 0, 1), np.float32)).permute(2, 0, 1)
    return torch.nn.functional.avg_pool2d(fine[None], FINE)


def style_image(name, size=256):
    """A style by its name: drawn by code, or the middle of a photograph of `photos()`, (1,3,size,size) in [0,1]."""
    if name in STYLES:
        return draw_style(name, size)
    photo = photos()[name].load()
    parts = {"dahlia": photo[..., 130:310, 200:380], "hubble": photo[..., 180:564, 300:684]}        # where there is no ground
    return resize(parts.get(name, center_crop(photo, size)), size)
