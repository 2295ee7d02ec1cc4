"""Draw the seven styles of data/styles.

Each is drawn from a seed by the function of its name, three times as large as it is stored, and
averaged, which smooths its edges. `unit` is the length of one pixel of a picture of 256 x 256.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

STYLES = Path(__file__).resolve().parents[1] / "data/styles"


def smooth_noise(rng, shape, scale):
    """Draw a smooth random field (h,w), mean 0, variance 1, with hills about `scale` wide."""
    step = max(1, int(scale / 4))  # blurred coarsely, then enlarged, because wide blurs are slow
    small = gaussian_filter(rng.standard_normal([n // step + 5 for n in shape]), scale / step / 2)
    size = [n + 5 * step for n in shape[::-1]]
    large = np.asarray(Image.fromarray(small.astype(np.float32)).resize(size, Image.BICUBIC))
    field = large[: shape[0], : shape[1]]
    return (field - field.mean()) / field.std()


def colors(text):
    """Read hexadecimal colors, (n,3) in [0, 1]."""
    values = np.frombuffer(bytes.fromhex(text), np.uint8)
    return values.reshape(-1, 3) / 255


def blend(palette, t):
    """Interpolate the colors of a palette (n,3) at t in [0, 1] of any shape, (...,3)."""
    position = np.clip(t, 0, 1) * (len(palette) - 1)
    steps = range(len(palette))
    return np.stack([np.interp(position, steps, channel) for channel in palette.T], -1)


def rgb(color):
    """Convert a color in [0, 1] to Pillow's tuple of bytes."""
    return tuple(int(v) for v in np.clip(color, 0, 1) * 255)


def voronoi(rng, shape, size):
    """Compute Voronoi cells about `size` wide: the cell and border distance of pixels, centers."""
    h, w = shape
    rows, columns = np.mgrid[-1 : h / size + 1, -1 : w / size + 1]
    offsets = rng.uniform(0.05, 0.95, (*rows.shape, 2))
    centers = size * (np.stack([rows, columns], -1) + offsets).reshape(-1, 2)
    distance, index = cKDTree(centers).query(np.indices(shape).reshape(2, -1).T, k=2)
    border = (distance[:, 1] - distance[:, 0]).reshape(shape) / 2
    return index[:, 0].reshape(shape), border, centers


def strokes(rng, shape, unit):
    """Paint long strokes of oil along a rotating field, each with a dark and a light side."""
    h, w = shape
    palette = colors("0b1a4a 16358c 2a6cc4 58a8dc bfe0d2 f7dc6a f2a51e")
    y, x = np.mgrid[:h, :w]
    angle = 2 * smooth_noise(rng, shape, 60 * unit) + np.arctan2(y - h / 2, x - w / 2) + np.pi / 2
    tone = 0.42 + 0.26 * smooth_noise(rng, shape, 36 * unit)
    canvas = Image.new("RGB", (w, h), rgb(palette[1]))
    pen = ImageDraw.Draw(canvas)
    for thickness, density in ((9, 500), (6, 1100), (4, 1500)):
        count = int(density * h * w / (256 * unit) ** 2)
        for start in rng.uniform((0, 0), (h, w), (count, 2)):
            brush(pen, rng, start, angle, tone, palette, thickness * unit, 3 * unit)
    return np.asarray(canvas) / 255


def brush(pen, rng, start, angle, tone, palette, thickness, step):
    """Paint one stroke of nine steps along the field of angles."""
    y, x = start
    color = blend(palette, tone[int(y), int(x)] + rng.normal(0, 0.1)) + rng.normal(0, 0.03, 3)
    path = []
    for _ in range(9):
        path.append((x, y))
        direction = angle[int(y) % angle.shape[0], int(x) % angle.shape[1]]
        x, y = x + step * np.cos(direction), y + step * np.sin(direction)
    side = np.array([-np.sin(direction), np.cos(direction)]) * thickness / 4
    for shift, width, light in ((1, 1, 0.62), (0, 0.8, 1), (-0.8, 0.25, 1.25)):
        points = [tuple(point + shift * side) for point in path]
        pen.line(points, rgb(color * light), round(thickness * width), "curve")


def glass(rng, shape, unit):
    """Draw stained glass: cells of one color each, brighter inside, with leads between them."""
    palette = colors("c8102e f2a900 00663f 0a3a9c 5b1a78 e8602c 13a0b8 f4d35e 7a0c22")
    index, border, centers = voronoi(rng, shape, 24 * unit)
    pane = palette[rng.integers(len(palette), size=len(centers))]
    pane = pane * rng.uniform(0.75, 1.1, (len(centers), 1))
    light = 0.72 + 0.05 * np.clip(border / unit, 0, 9) + 0.07 * smooth_noise(rng, shape, 5 * unit)
    lead = np.clip((border / unit - 1.1) / 0.5, 0, 1)
    return (pane[index] * light[..., None]) * lead[..., None] + 0.05 * (1 - lead[..., None])


def marbling(rng, shape, unit):
    """Draw marbled paper: bands of ink, drawn out by a comb and by the motion of the bath."""
    y, x = np.mgrid[: shape[0], : shape[1]] / unit
    comb = 9 * np.abs((x + 6 * smooth_noise(rng, shape, 50 * unit)) / 13 % 2 - 1) ** 1.5
    v = y + comb * 2.2 + 15 * smooth_noise(rng, shape, 55 * unit)
    v = v + 1.2 * smooth_noise(rng, shape, 9 * unit)
    palette = colors("7b1e3a f3e3c3 1f4e5f e0a030 f3e3c3 b5432a 14323f f3e3c3 d98c5f")
    edges = np.cumsum(rng.uniform(2.5, 6.5, 400)) - 400
    return palette[np.searchsorted(edges, v) * 5 % len(palette)]


def woodcut(rng, shape, unit):
    """Draw a woodcut: fields of parallel lines, thick where it is dark, thin where it is light."""
    y, x = np.mgrid[: shape[0], : shape[1]] / unit
    index, border, centers = voronoi(rng, shape, 58 * unit)
    angle = rng.uniform(0, np.pi, len(centers))[index]
    tone = rng.uniform(0.25, 0.75, len(centers))[index]
    bend = 5 * smooth_noise(rng, shape, 40 * unit)
    phase = (x * np.cos(angle) + y * np.sin(angle) + bend) / 5.5 % 1
    thickness = np.clip(tone + 0.13 * smooth_noise(rng, shape, 30 * unit), 0.2, 0.8)
    black = (np.abs(2 * phase - 1) < thickness) | (border < 1.3 * unit)
    return np.where(black[..., None], colors("17130f"), colors("f0e6d0"))


def points(rng, shape, unit):
    """Draw dots of paint: most near the color of their position, some its opposite."""
    h, w = shape
    palette = colors("1b4965 2f7f86 7fb069 e6c84f f08a4b d1495b 8e5aa8")
    tone = 0.5 + 0.27 * smooth_noise(rng, shape, 48 * unit)
    canvas = Image.new("RGB", (w, h), "#efe6d2")
    pen = ImageDraw.Draw(canvas)
    for y, x in rng.uniform((0, 0), (h, w), (int(9000 * h * w / (256 * unit) ** 2), 2)):
        t = tone[int(y), int(x)] + rng.normal(0, 0.07)
        r = unit * rng.uniform(1.6, 2.7)
        if rng.random() < 0.16:
            t = (t + 0.5) % 1
        color = blend(palette, t) + rng.normal(0, 0.05, 3)
        pen.ellipse((x - r, y - r, x + r, y + r), rgb(color))
    return np.asarray(canvas) / 255


def mosaic(rng, shape, unit):
    """Draw a mosaic: stones in rings around three centers, no two of quite the same color."""
    h, w = shape
    y, x = np.mgrid[:h, :w] / unit
    centers = rng.uniform((0.1 * h, 0.1 * w), (0.9 * h, 0.9 * w), (3, 2)) / unit
    radii = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centers])
    nearest = radii.argmin(0)
    radius = radii.min(0)
    cy, cx = np.moveaxis(centers[nearest], -1, 0)
    ring = radius // 8
    stones = np.maximum(np.round(2 * np.pi * (ring + 0.5) * 8 / 9), 1)
    around = (np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5) * stones
    stone = (ring + 131 * np.floor(around) + 7001 * nearest).astype(int) % 4096
    palette = colors("f5e9cf 0f6e78 e2b33c 12394f c2543a f0d9a0 2a9d8f")
    color = palette[((ring + 2 * nearest) // 2 % len(palette)).astype(int)]
    color = color + rng.normal(0, 0.06, (4096, 3))[stone]
    sides = [radius % 8, 8 - radius % 8, 9 * (around % 1), 9 * (1 - around % 1)]
    gap = np.minimum.reduce(sides)
    return np.where((gap < 0.8)[..., None], colors("3a3430"), color)


def waves(rng, shape, unit):
    """Draw overlapping scales of rings, as on Japanese cloth, in indigo and white."""
    h, w = shape
    palette = colors("0f2350 f6f1e4 1f4a93 f6f1e4 6fa3cf f6f1e4 12306b")
    gold = colors("d9a441")[0]
    canvas = Image.new("RGB", (w, h), rgb(palette[0]))
    pen = ImageDraw.Draw(canvas)
    r = 26 * unit
    for row in range(-1, int(2 * h / r) + 4):
        for column in range(-1, int(w / (2 * r)) + 2):
            x, y = (2 * column + row % 2) * r, row * r / 2
            golden = rng.random() < 0.12
            for k, color in enumerate(palette):
                s = r * (1 - k / len(palette))
                fill = gold if golden and k % 2 == 0 else color
                pen.ellipse((x - s, y - s, x + s, y + s), rgb(fill))
    return np.asarray(canvas) / 255


def draw(style, size=448, *, seed=0):
    """Draw a style as a Pillow image of size x size pixels."""
    large = style(np.random.default_rng(seed), (3 * size, 3 * size), 3 * size / 256)
    blocks = np.clip(large, 0, 1).reshape(size, 3, size, 3, 3)
    return Image.fromarray(np.round(255 * blocks.mean((1, 3))).astype(np.uint8))


def main(argv=None):
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    for style in (strokes, glass, marbling, woodcut, points, mosaic, waves):
        draw(style).save(STYLES / f"{style.__name__}.webp", lossless=True, method=6)


if __name__ == "__main__":
    main()
