"""Render objects on textured ground under a sky by sphere tracing (Hart 1996).

The y axis points up, the ground is y = 0, and the camera stands at +z. All functions work on lists
of rays (n,3), so that only rays that can meet the object are traced. Colors are linear RGB.
"""

from functools import cache

import torch
import torch.nn.functional as F

from helpers.scenes.signed_distance import DISTANCE, MATERIAL, RADIUS, sine_noise, soft_step

STEPS = 100         # of sphere tracing at most: most rays need ten, those that graze a face many
SAMPLES = 2         # a pixel is the mean of 2 x 2 rays


def meet_ball(origin, direction):
    """Test which rays meet the ball around the object, and compute where they enter it."""
    middle = -(origin * direction).sum(-1)              # the depth nearest to the center
    square = middle ** 2 - (origin ** 2).sum(-1) + RADIUS ** 2
    half_chord = square.clamp(min=0).sqrt()
    return (square > 0) & (middle + half_chord > 0), (middle - half_chord).clamp(min=0)


def march(distance, origin, direction, start):
    """Trace rays (n,3) from depths `start` (n,) to the surface: depths (n,) and hits (n,) bool."""
    t = start.clone()
    hit = torch.zeros_like(start, dtype=torch.bool)
    active = torch.arange(len(start), device=start.device)
    for _ in range(STEPS):
        d = distance(origin[active] + t[active, None] * direction[active])
        t[active] += d
        hit[active] = d < 2e-4
        active = active[(d >= 2e-4) & (t[active] < start[active] + 2 * RADIUS)]
    return t, hit


def sunlight(distance, p, to_light, softness=9.0):
    """Compute the fraction of a soft sun that reaches points p (n,3): 0 in full shadow."""
    t = torch.full_like(p[:, 0], 0.03)
    light = torch.ones_like(t)
    for _ in range(16):
        d = distance(p + t[:, None] * to_light)
        light = torch.minimum(light, (softness * d / t).clamp(0, 1))
        t = t + d.clamp(0.02, 0.3)
    return light


def surface_normal(distance, p, eps=1e-3):
    """Compute unit normals at points p (n,3) from four differences, at a tetrahedron's corners."""
    corners = p.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    return F.normalize(sum(c * distance(p + eps * c)[:, None] for c in corners), dim=-1)


@cache
def texture_pyramid(name, device, dtype):
    """Load a ground texture at seven resolutions, a list of (1,1,h,w) with mean 0.5."""
    from skimage import data

    texture = torch.from_numpy(getattr(data, name)()).to(device, dtype)[None, None] / 255
    texture = (texture - texture.mean()) / texture.std() * 0.17 + 0.5
    return [texture, *(F.avg_pool2d(texture, 2 ** k) for k in range(1, 7))]


def ground_texture(name, position, footprint):
    """Interpolate the brightness of the ground at positions (n,2), blurred to `footprint` (n,)."""
    levels = texture_pyramid(name, str(position.device), position.dtype)
    level = (footprint * 512).clamp(min=1).log2().clamp(max=len(levels) - 1)
    grid = (2 * position - 1)[None, None]
    value = torch.zeros_like(level)
    for k, texture in enumerate(levels):
        weight = (1 - (level - k).abs()).clamp(min=0)
        sample = F.grid_sample(texture, grid, padding_mode="reflection", align_corners=False)
        value += weight * sample[0, 0, 0]
    return value


def pixel_grid(side, like):
    """Compute the centers (side,side,2) of pixels as (x, y) in [-1, 1], y up."""
    steps = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * 2 / side
    return torch.stack(torch.meshgrid(steps - 1, 1 - steps, indexing="xy"), -1)


def camera_rays(scene, grid):
    """Compute the unit directions (h,w,3) of the rays through pixels at (h,w,2)."""
    plane = (grid - scene["shift"]) / scene["zoom"]
    right = torch.linalg.cross(scene["forward"], scene["up"])
    direction = scene["forward"] + plane[..., :1] * right + plane[..., 1:] * scene["up"]
    return F.normalize(direction, dim=-1)


def trace(scene, direction):
    """Trace rays (n,3) from the camera to the object: points (n,3) in its axes, and hits (n,)."""
    origin = (scene["eye"] - scene["center"]) @ scene["turn"]
    local = direction @ scene["turn"]
    near, start = meet_ball(origin, local)
    points = torch.zeros_like(local)
    hit = near.clone()
    rays = local[near]
    t, hit[near] = march(DISTANCE[scene["shape"]], origin.expand_as(rays), rays, start[near])
    points[near] = origin + t[:, None] * rays
    return points, hit


def sky_color(scene, direction):
    """Compute the color of the sky: a vertical gradient, clouds, and a glow around the sun."""
    height = direction[:, 1:2].clamp(min=0)
    color = scene["horizon"] + (scene["zenith"] - scene["horizon"]) * (1 - torch.exp(-3.5 * height))
    phase = torch.full_like(height, scene["cloud_phase"])
    clouds = sine_noise(torch.cat([1.1 * direction[:, ::2] / (height + 0.12), phase], -1))
    cover = scene["clouds"] * soft_step(clouds - 0.15, 0.8)[:, None] * (height / 0.08).clamp(max=1)
    glow = (direction @ scene["to_light"]).clamp(min=0)[:, None] ** 40
    return color + (0.9 - color) * cover + 0.5 * glow * scene["sun_color"]


def ground_color(scene, direction):
    """Compute the color of the ground where downward rays meet it, with the object's shadow."""
    depth = scene["eye"][1] / -direction[:, 1]
    p = scene["eye"] + depth[:, None] * direction
    color = scene["ground_color"] * ground_pattern(scene, p, depth, direction)
    color = color * ground_light(scene, p)
    haze = 1 - torch.exp(-depth[:, None] / 60)
    return color + (scene["horizon"] - color) * haze


def ground_pattern(scene, p, depth, direction):
    """Compute how bright the texture of the ground is (n,1) at points p (n,3)."""
    position = (p[:, ::2] @ scene["ground_axes"]) / scene["tile"] + scene["ground_at"]
    footprint = depth / scene["zoom"] * scene["pixel"] / scene["tile"]      # of one pixel's ray
    stretch = (-direction[:, 1]).clamp(min=1e-3) ** -0.5                    # of rays that graze
    gray = ground_texture(scene["ground"], position, footprint * stretch)[:, None]
    return gray.clamp(0.02, 1) ** 1.8 * 2.2


def ground_light(scene, p):
    """Compute the light (n,3) on the ground at points p (n,3), less in the object's shadow."""
    distance = DISTANCE[scene["shape"]]
    local = (p - scene["center"]) @ scene["turn"]           # in the object's axes
    to_light = scene["to_light"] @ scene["turn"]
    may_be_shaded, _ = meet_ball(local, to_light.expand_as(local))
    lit = torch.ones_like(local[:, 0])
    lit[may_be_shaded] = sunlight(distance, local[may_be_shaded], to_light)
    sun = scene["to_light"][1] * scene["sun_color"] * lit[:, None]
    open_sky = 0.45 + 0.55 * (distance(local) / 0.5).clamp(0, 1)    # less right by the object
    return sun + 0.55 * scene["ambient"] * open_sky[:, None]


def surface_color(scene, p, direction):
    """Compute the color of the object at points p (n,3) in its own axes, seen along `direction`."""
    distance = DISTANCE[scene["shape"]]
    to_light = scene["to_light"] @ scene["turn"]
    normal = surface_normal(distance, p)
    texture = (p @ scene["grain"]) * scene["scale"] + scene["grain_at"]
    second = MATERIAL[scene["material"]](texture)[:, None]
    albedo = scene["color"] + (scene["second_color"] - scene["color"]) * second
    sun = (normal @ to_light).clamp(min=0)
    facing = sun > 0
    sun[facing] = sun[facing] * sunlight(distance, p[facing] + 0.02 * normal[facing], to_light)
    up = (normal @ scene["turn"][1])[:, None] / 2 + 0.5
    light = sun[:, None] * scene["sun_color"] + (0.22 + 0.38 * up) * scene["ambient"]
    light = light + (1 - up) * 0.12 * scene["ground_color"]
    half = F.normalize(to_light - direction @ scene["turn"], dim=-1)
    shine = (normal * half).sum(-1).clamp(min=0)[:, None] ** 40 * (sun > 0)[:, None]
    return albedo * light + scene["gloss"] * shine * scene["sun_color"]


def render(scene, size):
    """Render a scene: an image (3,size,size) in [0,1] and the object's mask (size,size)."""
    side = size * SAMPLES
    scene = scene | {"pixel": 2 / side}
    direction = camera_rays(scene, pixel_grid(side, scene["eye"])).reshape(-1, 3)
    points, hit = trace(scene, direction)
    down = (direction[:, 1] < -1e-3) & ~hit
    up = ~hit & ~down
    color = torch.empty_like(direction)
    color[up] = sky_color(scene, direction[up])
    color[down] = ground_color(scene, direction[down])
    color[hit] = surface_color(scene, points[hit], direction[hit])
    planes = torch.cat([color.clamp(0, 1), hit[:, None]], -1).T.reshape(1, 4, side, side)
    planes = F.avg_pool2d(planes, SAMPLES)[0]
    return planes[:3] ** (1 / 2.2), planes[3] > 0.5
