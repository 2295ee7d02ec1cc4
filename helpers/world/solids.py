"""The objects of the rendered world: signed distances of their surfaces, and the materials they are made of."""

import math

import torch

REACH = 1.15        # radius of a ball that holds every object


def length(p):
    return p.square().sum(-1).sqrt()    # Tensor.norm is slow over a last dimension of three


def radius(p):
    return torch.hypot(p[..., 0], p[..., 2])


def box(p, half, rounding=0.03):
    q = p.abs() - p.new_tensor(half) + rounding
    return length(q.clamp(min=0)) + q.amax(-1).clamp(max=0) - rounding


def wall(radius, y, base, height):
    """Distance to the sloping side of a cone or pyramid of that base and height, centred on y = 0."""
    return (radius * height + (y - height / 2) * base) / math.hypot(base, height)


# Distance from p (..., 3) to the surface, negative inside. Each object fits into a ball of radius REACH.
DISTANCE = {
    "sphere": lambda p: length(p) - 0.85,
    "cube": lambda p: box(p, (0.62, 0.62, 0.62)),
    "cylinder": lambda p: torch.maximum(radius(p) - 0.55, p[..., 1].abs() - 0.78),
    "cone": lambda p: torch.maximum(wall(radius(p), p[..., 1], 0.75, 1.6), -p[..., 1] - 0.8),
    "torus": lambda p: torch.hypot(radius(p) - 0.66, p[..., 1]) - 0.27,
    "capsule": lambda p: torch.hypot(radius(p), p[..., 1] - p[..., 1].clamp(-0.55, 0.55)) - 0.42,
    "pyramid": lambda p: torch.maximum(wall(p[..., ::2].abs().amax(-1), p[..., 1], 0.75, 1.4), -p[..., 1] - 0.7),
    "cross": lambda p: torch.minimum(box(p, (0.92, 0.3, 0.3)), box(p, (0.3, 0.92, 0.3))),
}


def lowest(shape, turn):
    """How far a turned object reaches below its own centre: its corners or rims, and a ball round each."""
    ring = torch.stack([torch.tensor([math.cos(a), 0, math.sin(a)]) for a in torch.linspace(0, 2 * math.pi, 65)]).double()
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    up = torch.tensor([0, 1.0, 0]).double()
    points, ball = {
        "sphere": (0 * ring, 0.85), "cube": (0.62 * corners, 0), "torus": (0.66 * ring, 0.27),
        "cylinder": (torch.cat([0.55 * ring - 0.78 * up, 0.55 * ring + 0.78 * up]), 0),
        "cone": (torch.cat([0.75 * ring - 0.8 * up, 0.8 * up[None]]), 0),
        "capsule": (torch.stack([-0.55 * up, 0.55 * up]), 0.42),
        "pyramid": (torch.cat([corners[:, :] * torch.tensor([0.75, 0, 0.75]) - 0.7 * up, 0.7 * up[None]]), 0),
        "cross": (torch.cat([corners * torch.tensor([0.92, 0.3, 0.3]), corners * torch.tensor([0.3, 0.92, 0.3])]), 0),
    }[shape]
    return ball - (points @ turn.T)[:, 1].min()


def ripple(p):
    """A smooth noise in about [-1, 1] made of sines of sines, the same on every machine."""
    total, q = 0, p
    for octave in range(3):
        q = 1.9 * q[:, [1, 2, 0]] + octave
        total = total + torch.sin(q[:, 0] + 1.7 * torch.sin(q[:, 1] + 1.3 * torch.sin(q[:, 2]))) / 2 ** octave
    return total / 1.75


def edge(x, width=0.25):
    return (x / width).clamp(-1, 1) / 2 + 0.5


# Share of the second colour at texture coordinates p (n,3).
MATERIAL = {
    "plain": lambda p: torch.zeros_like(p[:, 0]),
    "stripes": lambda p: edge(torch.sin(8.5 * p[:, 0])),
    "checks": lambda p: edge(torch.sin(6.5 * p + 0.7).prod(-1), 0.12),
    "dots": lambda p: edge(0.36 - length(torch.remainder(1.9 * p, 1) - 0.5), 0.03),
    "marble": lambda p: (1 - torch.sin(3.2 * p[:, 0] + 3.0 * ripple(1.2 * p)).abs()) ** 3,
    "wood": lambda p: torch.remainder(4.2 * torch.hypot(p[:, 0], p[:, 2]) + 0.35 * ripple(p * p.new_tensor([1.5, 0.5, 1.5])), 1) ** 2,
}
