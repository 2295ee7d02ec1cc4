"""Signed distance functions of the rendered objects, and the textures of their materials."""

import math

import torch

RADIUS = 1.15       # of a ball around the origin that contains every object


def norm(p):
    """Compute the length of vectors (..., 3)."""
    return p.square().sum(-1).sqrt()        # torch.norm is slow over a last dimension of three


def from_axis(p):
    """Compute the distance of points (..., 3) from the y axis."""
    return torch.hypot(p[..., 0], p[..., 2])


def box(p, half, rounding=0.03):
    """Compute the distance of points (..., 3) from a box of half sides `half`, edges rounded."""
    q = p.abs() - p.new_tensor(half) + rounding
    return norm(q.clamp(min=0)) + q.amax(-1).clamp(max=0) - rounding


def pointed(radius, y, base, height):
    """Compute the distance of a cone or pyramid whose height is centered on y = 0."""
    side = (radius * height + (y - height / 2) * base) / math.hypot(base, height)
    return torch.maximum(side, -y - height / 2)


# From points (..., 3) to their distance from the surface (...), negative inside the object.
DISTANCE = {
    "sphere": lambda p: norm(p) - 0.85,
    "cube": lambda p: box(p, (0.62, 0.62, 0.62)),
    "cylinder": lambda p: torch.maximum(from_axis(p) - 0.55, p[..., 1].abs() - 0.78),
    "cone": lambda p: pointed(from_axis(p), p[..., 1], 0.75, 1.6),
    "torus": lambda p: torch.hypot(from_axis(p) - 0.66, p[..., 1]) - 0.27,
    "capsule": lambda p: torch.hypot(from_axis(p), p[..., 1] - p[..., 1].clamp(-0.55, 0.55)) - 0.42,
    "pyramid": lambda p: pointed(p[..., ::2].abs().amax(-1), p[..., 1], 0.75, 1.4),
    "cross": lambda p: torch.minimum(box(p, (0.92, 0.3, 0.3)), box(p, (0.3, 0.92, 0.3))),
}


def depth_below_center(shape, turn):
    """Compute how far an object, rotated by `turn` (3,3), reaches below its center.

    Every object is the convex hull of a few points, or of balls around them.
    """
    angles = torch.linspace(0, 2 * math.pi, 65).tolist()
    ring = torch.tensor([[math.cos(angle), 0, math.sin(angle)] for angle in angles]).double()
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    up = torch.tensor([[0, 1.0, 0]]).double()
    square = corners * torch.tensor([0.75, 0, 0.75])
    arms = torch.tensor([[[0.92, 0.3, 0.3]], [[0.3, 0.92, 0.3]]])
    points, ball_radius = {
        "sphere": (0 * up, 0.85),
        "cube": (0.62 * corners, 0),
        "cylinder": (torch.cat([0.55 * ring - 0.78 * up, 0.55 * ring + 0.78 * up]), 0),
        "cone": (torch.cat([0.75 * ring - 0.8 * up, 0.8 * up]), 0),
        "torus": (0.66 * ring, 0.27),
        "capsule": (torch.cat([-0.55 * up, 0.55 * up]), 0.42),
        "pyramid": (torch.cat([square - 0.7 * up, 0.7 * up]), 0),
        "cross": ((corners * arms).flatten(0, 1), 0),
    }[shape]
    return ball_radius - (points @ turn.T)[:, 1].min()


def sine_noise(p):
    """Compute smooth noise at points (n,3), in about [-1, 1], from sines of sines."""
    total = 0
    for octave in range(3):
        p = 1.9 * p[:, [1, 2, 0]] + octave
        inner = torch.sin(p[:, 1] + 1.3 * torch.sin(p[:, 2]))
        total = total + torch.sin(p[:, 0] + 1.7 * inner) / 2 ** octave
    return total / 1.75


def soft_step(x, width=0.25):
    """Rise from 0 to 1 while x goes from -width to width."""
    return (x / width).clamp(-1, 1) / 2 + 0.5


def wood(p):
    """Draw the rings of a tree around the y axis, each darker outward, with some noise."""
    noise = sine_noise(p * p.new_tensor([1.5, 0.5, 1.5]))
    return torch.remainder(4.2 * from_axis(p) + 0.35 * noise, 1) ** 2


# From texture coordinates (n,3) to the fraction (n,) of the material's second color.
MATERIAL = {
    "plain": lambda p: torch.zeros_like(p[:, 0]),
    "stripes": lambda p: soft_step(torch.sin(8.5 * p[:, 0])),
    "checks": lambda p: soft_step(torch.sin(6.5 * p + 0.7).prod(-1), 0.12),
    "dots": lambda p: soft_step(0.36 - norm(torch.remainder(1.9 * p, 1) - 0.5), 0.03),
    "marble": lambda p: (1 - torch.sin(3.2 * p[:, 0] + 3.0 * sine_noise(1.2 * p)).abs()) ** 3,
    "wood": wood,
}
