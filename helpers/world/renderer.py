"""Sphere tracing: pictures of signed-distance objects on a textured ground under a sky (Hart 1996).

Space is y up; the ground is y = 0; the camera stands at +z and looks towards the object at the origin.
Everything works on flat lists of rays, so that only rays that can meet the object are marched.
"""

from functools import cache

import torch
import torch.nn.functional as F

from helpers.world.solids import DISTANCE, MATERIAL, REACH, edge, ripple

STEPS = 100         # of sphere tracing at most; most rays need ten, those that graze a face need many


def meets_ball(origin, direction):
    """Which rays meet the ball round the object, and the distance at which they enter it."""
    half = (origin * direction).sum(-1)
    root = half ** 2 - (origin ** 2).sum(-1) + REACH ** 2
    return (root > 0) & (root.clamp(min=0).sqrt() > half), (-half - root.clamp(min=0).sqrt()).clamp(min=0)


def march(distance, origin, direction, start):
    """Sphere tracing: rays (n,3),(n,3) from start (n,) -> distance travelled (n,), hit (n,)."""
    t, hit, going = start.clone(), torch.zeros_like(start, dtype=torch.bool), torch.arange(len(start), device=start.device)
    for _ in range(STEPS):
        d = distance(origin[going] + t[going, None] * direction[going])
        t[going] += d
        hit[going] = d < 2e-4
        going = going[(d >= 2e-4) & (t[going] < start[going] + 2 * REACH)]
    return t, hit


def sunlight(distance, p, to_light, softness=9.0):
    """Share of a soft sun that reaches points p (n,3): 0 in full shadow, 1 in the open."""
    t = torch.full_like(p[:, 0], 0.03)
    light = torch.ones_like(t)
    for _ in range(16):
        d = distance(p + t[:, None] * to_light)
        light = torch.minimum(light, (softness * d / t).clamp(0, 1))
        t = t + d.clamp(0.02, 0.3)
    return light


def normal(distance, p, eps=1e-3):
    """Unit surface normal at p (n,3): four evaluations at the corners of a tetrahedron."""
    corners = p.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    return F.normalize(sum(k * distance(p + eps * k)[:, None] for k in corners), dim=-1)


@cache
def ground_pyramid(name, device, dtype):
    """A ground texture in falling resolution, list of (1,1,h,w), mean 0.5, so that the distance does not flicker."""
    from skimage import data
    texture = torch.from_numpy(getattr(data, name)()).to(device, dtype)[None, None] / 255
    texture = (texture - texture.mean()) / texture.std() * 0.17 + 0.5
    return [F.avg_pool2d(texture, 2 ** k) if k else texture for k in range(7)]


def ground_texture(name, where, footprint):
    """Brightness of the ground at (n,2) in tiles, for pixels that cover `footprint` (n,) tiles."""
    levels = ground_pyramid(name, str(where.device), where.dtype)
    level = (footprint * 512).clamp(min=1).log2().clamp(max=len(levels) - 1)
    grid = (2 * where - 1)[None, None]
    value = torch.zeros_like(level)
    for k, texture in enumerate(levels):
        share = (1 - (level - k).abs()).clamp(min=0)
        if share.any():  # "reflection": a texture that need not tile
            value += share * F.grid_sample(texture, grid, padding_mode="reflection", align_corners=False)[0, 0, 0]
    return value


def camera_rays(scene, grid):
    """Unit directions of the rays through picture points grid (h,w,2) in [-1,1], y up: (h,w,3)."""
    plane = (grid - scene["shift"]) / scene["zoom"]
    forward, up = scene["forward"], scene["up"]
    right = torch.linalg.cross(forward, up)
    return F.normalize(forward + plane[..., :1] * right + plane[..., 1:] * up, dim=-1)


def pixel_grid(height, width, like):
    ys = 1 - (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) * 2 / height
    xs = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) * 2 / width - 1
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)


def trace(scene, direction):
    """Where rays (n,3) from the scene's camera meet its object, in the object's own axes: points (n,3), hit (n,)."""
    distance = DISTANCE[scene["shape"]]
    origin = (scene["eye"] - scene["centre"]) @ scene["turn"]
    local = direction @ scene["turn"]
    near, start = meets_ball(origin, local)
    points, hit = torch.zeros_like(local), near.clone()
    t, hit[near] = march(distance, origin.expand(int(near.sum()), 3), local[near], start[near])
    points[near] = origin + t[:, None] * local[near]
    return points, hit


def sky(scene, direction):
    """Colour of the sky in directions (n,3): a gradient, clouds, and a glow round the sun. Linear RGB (n,3)."""
    height = direction[:, 1:2].clamp(min=0)
    colour = scene["horizon"] + (scene["zenith"] - scene["horizon"]) * (1 - torch.exp(-3.5 * height))
    clouds = ripple(torch.cat([1.1 * direction[:, ::2] / (height + 0.12), torch.full_like(height, scene["cloud_phase"])], -1))
    cover = scene["clouds"] * edge(clouds - 0.15, 0.8)[:, None] * (height / 0.08).clamp(max=1)
    glow = (direction @ scene["to_light"]).clamp(min=0)[:, None] ** 40
    return colour + (0.9 - colour) * cover + 0.5 * glow * scene["sun"]


def ground(scene, direction):
    """Colour of the ground where downward rays (n,3) meet it, with the object's shadow. Linear RGB (n,3)."""
    t = scene["eye"][1] / -direction[:, 1]
    p = scene["eye"] + t[:, None] * direction
    tile = scene["tile"]
    spot = (p[:, ::2] @ scene["ground_turn"]) / tile + scene["ground_at"]
    pixel = t / scene["zoom"] * scene["pixel"] / tile
    grey = ground_texture(scene["ground"], spot, pixel * (-direction[:, 1]).clamp(min=1e-3) ** -0.5)
    local = (p - scene["centre"]) @ scene["turn"]
    to_light = scene["to_light"] @ scene["turn"]
    near, _ = meets_ball(local, to_light.expand_as(local))
    lit, distance = torch.ones_like(t), DISTANCE[scene["shape"]]
    lit[near] = sunlight(distance, local[near], to_light)
    contact = 0.45 + 0.55 * (distance(local) / 0.5).clamp(0, 1)
    light = scene["to_light"][1] * scene["sun"] * lit[:, None] + 0.55 * scene["ambient"] * contact[:, None]
    colour = scene["ground_colour"] * (grey[:, None].clamp(0.02, 1) ** 1.8 * 2.2) * light
    haze = 1 - torch.exp(-t[:, None] / 60)
    return colour + (scene["horizon"] - colour) * haze


def surface(scene, p, direction):
    """Colour of the object at points p (n,3) in its own axes, seen along direction (n,3). Linear RGB (n,3)."""
    distance, to_light = DISTANCE[scene["shape"]], scene["to_light"] @ scene["turn"]
    n = normal(distance, p)
    share = MATERIAL[scene["material"]]((p @ scene["grain"]) * scene["scale"] + scene["grain_at"])[:, None]
    albedo = scene["colour"] + (scene["colour2"] - scene["colour"]) * share
    sun = (n @ to_light).clamp(min=0)
    facing = sun > 0
    sun[facing] = sun[facing] * sunlight(distance, p[facing] + 0.02 * n[facing], to_light)
    up = (n @ scene["turn"][1])[:, None] / 2 + 0.5
    light = sun[:, None] * scene["sun"] + (0.22 + 0.38 * up) * scene["ambient"] + (1 - up) * 0.12 * scene["ground_colour"]
    half = F.normalize(to_light - direction @ scene["turn"], dim=-1)
    shine = scene["gloss"] * (n * half).sum(-1).clamp(min=0)[:, None] ** 40 * (sun > 0)[:, None]
    return albedo * light + shine * scene["sun"]


def render(scene, size, *, samples=2):
    """One scene -> image (3,size,size) in [0,1] and object mask (size,size), each pixel the mean of samples^2 rays."""
    side = size * samples
    scene = scene | {"pixel": 2 / side}
    direction = camera_rays(scene, pixel_grid(side, side, scene["eye"])).reshape(-1, 3)
    points, hit = trace(scene, direction)
    down = (direction[:, 1] < -1e-3) & ~hit
    colour = torch.empty_like(direction)
    colour[~hit & ~down] = sky(scene, direction[~hit & ~down])
    colour[down] = ground(scene, direction[down])
    colour[hit] = surface(scene, points[hit], direction[hit])
    planes = torch.cat([colour.clamp(0, 1), hit[:, None]], -1).T.reshape(1, 4, side, side)
    planes = F.avg_pool2d(planes, samples)[0]
    return planes[:3] ** (1 / 2.2), planes[3] > 0.5
