"""Grade each exercise by its check, on inputs that no notebook shows."""

from functools import cache

import torch
import torch.nn.functional as F

import helpers.exercises.checks as check
from helpers.exercises import challenges, problems
from helpers.exercises.held_out_inputs import generator, held_out_scenes
from helpers.images import resize, sliding_crops
from helpers.networks import class_index, load_net
from helpers.photos import photos
from helpers.style import style_grams


@cache
def net(name="coursenet"):
    return load_net(name)


def robust():
    return net("coursenet-robust")


def names():
    """Return what an answer may use besides what its own notebook defines."""
    device = torch.device("cpu")
    return {"torch": torch, "F": F, "device": device, "net": net(), "robust": robust()}


def uniform(seed, *shape):
    return torch.rand(shape, generator=generator(seed))


def normal(seed, *shape):
    return torch.randn(shape, generator=generator(seed))


def mask(seed):
    return uniform(seed, 3, 9, 8) < 0.6


def layers(seed):
    """Draw the (window, stride) of five layers."""
    windows = torch.randint(2, 8, (5,), generator=generator(seed))
    strides = torch.randint(1, 4, (5,), generator=generator(seed + 1))
    return list(zip(windows.tolist(), strides.tolist()))


def cone_logit(x):
    return net()(x)[:, class_index(net(), "cone")]


def style_pairs():
    """Return pairs of a content and a style, (1,3,160,160) each."""
    album = photos()
    names = [("espresso", "temple"), ("rocket", "dahlia"), ("cat", "hubble")]
    return [(album[content].load(160), album[style].load(160)) for content, style in names]


def new_style_inputs():
    """Return the Gram matrices of a style, crops to train on, and a held-out photograph."""
    album = photos()
    style = 1 - resize(album["temple"].load(), 144)[..., :96, :96].roll(1, 1)
    photographs = [album[name].load() for name in ("cat", "espresso", "rocket")]
    grams = style_grams(robust(), style, challenges.STYLE_LAYERS)
    crops = sliding_crops(photographs, [192], size=96)
    return grams, crops, resize(album["astronaut"].load(), 96)


def on(check, draw_inputs):
    """Return a function of an answer and a seed; `draw_inputs` is a function of the seed."""
    return lambda mine, seed: check.__wrapped__(mine, *draw_inputs(seed))


def seeded(check, inputs=lambda: ()):
    """Return a function of an answer and a seed, for a check that takes a seed."""
    return lambda mine, seed: check.__wrapped__(mine, *inputs(), seed=seed)


# Name of an exercise -> a function of an answer and a seed -> Feedback.
CHECKS = {
    "my_shared": on(check.shared_neighbors, lambda s: (normal(s, 60, 5), torch.arange(60) % 3)),
    "my_field": on(check.receptive_field_size, lambda s: (layers(s),)),
    "my_occlusion": on(check.occlusion,
                       lambda s: (cone_logit, held_out_scenes(4, s).images[:1], 16)),
    "my_iou": on(check.iou, lambda s: (mask(s), mask(s + 1))),
    "my_fgsm": on(check.fgsm, lambda s: (uniform(s, 3, 3, 8, 8), normal(s, 3, 3, 8, 8), 0.1)),
    "my_variation": on(check.total_variation, lambda s: (uniform(s, 3, 3, 9, 8),)),
    "dream_gradient": on(check.dream_gradient, lambda s: (normal(s, 1, 16, 4, 5),)),
    "my_distance": seeded(check.window_distance),
    "my_gram": on(check.gram_matrix, lambda s: (normal(s, 2, 5, 6, 7),)),
    "my_instance_norm": on(check.instance_norm, lambda s: (normal(s, 2, 3, 6, 5),)),
    "my_receptive_field": seeded(problems.receptive_field),
    "my_map": seeded(problems.tsne_map, lambda: (net(),)),
    "my_grad_cam": seeded(problems.grad_cam, lambda: (net(), "relu4")),
    "my_pgd": seeded(problems.pgd, lambda: (net(),)),
    "my_total_variation": seeded(problems.total_variation),
    "my_parts": seeded(problems.completeness, lambda: (net(),)),
    "my_moments": seeded(problems.channel_statistics),
    "my_shifted_gram": seeded(problems.shifted_gram),
    "my_new_style": seeded(problems.new_style, lambda: (robust(), *new_style_inputs())),
    "my_occluder": seeded(challenges.occluder, lambda: (net(),)),
    "my_ascent": seeded(challenges.class_visualization, lambda: (net(), robust())),
    "my_painting": seeded(challenges.style_transfer, lambda: (robust(), style_pairs())),
    "my_flaw": seeded(challenges.spurious_cue, lambda: (net(),)),
}
