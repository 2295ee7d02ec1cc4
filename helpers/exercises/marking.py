"""How each exercise is marked: its check, on inputs that no notebook shows."""

from functools import cache

import torch
import torch.nn.functional as F

import helpers.exercises.checks as check
from helpers.activations import activations
from helpers.exercises import contests, problems_01, problems_02, problems_03
from helpers.exercises.fresh import dice, fresh_scenes, of_class, with_numbers
from helpers.features import codes
from helpers.images import photos, resize, sliding_crops
from helpers.nets import load_net
from helpers.style import style_grams


@cache
def net(name="coursenet"):
    return load_net(name)


def robust():
    return net("coursenet-robust")


def uniform(seed, *shape):
    return torch.rand(shape, generator=dice(seed))


def normal(seed, *shape):
    return torch.randn(shape, generator=dice(seed))


def masks(seed):
    return uniform(seed, 3, 9, 8) < 0.6


def symmetric(seed, n=24):
    P = uniform(seed, n, n).double().fill_diagonal_(0)
    return (P + P.T) / (P + P.T).sum()


def canvas():
    album = photos()
    names = [("espresso", "temple"), ("rocket", "dahlia"), ("cat", "hubble")]
    return [(album[content].load(160), album[style].load(160)) for content, style in names]


def lesson():
    """What a painter is taught: (its Gram matrices, crops to train on, a photograph to be judged by)."""
    album = photos()
    style = 1 - resize(album["temple"].load(), 144)[..., :96, :96].roll(1, 1)
    crops = torch.cat([sliding_crops(album[name].load(), [192], size=96) for name in ("cat", "espresso", "rocket")])
    return style_grams(robust(), style, ["pixels", "relu1", "relu2", "relu3"]), crops, resize(album["astronaut"].load(), 96)


def one_score(seed):
    x, k = with_numbers(net(), 4, seed)
    return of_class(net(), k), x


def windows(seed):
    return torch.stack([torch.randint(2, 8, (5,), generator=dice(seed)), torch.randint(1, 4, (5,), generator=dice(seed + 1))], 1).tolist()


def on(check, *inputs):
    return check.__wrapped__(*inputs)


# The answer and a seed -> Verdict.
MARKED = {
    # 01
    "my_probability": lambda mine, s: on(check.probability, mine, net(), fresh_scenes(4, s).images, "cone"),
    "my_most_colourful": lambda mine, s: on(check.most_colourful, mine, normal(s, 32, 3, 7, 7)),
    "my_shared": lambda mine, s: on(check.shared_neighbors, mine, normal(s, 60, 5), torch.arange(60) % 3),
    "my_tsne": lambda mine, s: on(check.tsne_loop, mine, symmetric(s), 0.01 * normal(s, 24, 2).double()),
    "my_sparsity": lambda mine, s: on(check.sparsity, mine, net(), fresh_scenes(4, s).images, "relu3"),
    "my_field": lambda mine, s: on(check.field_size, mine, windows(s)),
    "my_occlusion": lambda mine, s: on(check.occlusion_map, mine, lambda x: net()(x)[:, 70], fresh_scenes(4, s).images[:1], 16),
    "my_signed_saliency": lambda mine, s: on(check.signed_saliency, mine, *one_score(s)),
    "my_mass": lambda mine, s: on(check.mass, mine, normal(s, 3, 9, 8), masks(s)),
    # 02
    "my_iou": lambda mine, s: on(check.iou, mine, masks(s), masks(s + 1)),
    "my_fgsm": lambda mine, s: on(check.fgsm, mine, normal(s, 3, 3, 8, 8), uniform(s, 3, 3, 8, 8), 0.1),
    "my_variation": lambda mine, s: on(check.variation, mine, uniform(s, 3, 3, 9, 8)),
    # 03
    "dream_gradient": lambda mine, s: on(check.dream_gradient, mine, normal(s, 1, 16, 4, 5)),
    "my_distance": lambda mine, s: check.window_distance.__wrapped__(mine, seed=s),
    "my_gram": lambda mine, s: on(check.gram, mine, normal(s, 2, 5, 6, 7)),
    "my_instance_norm": lambda mine, s: on(check.instance_norm, mine, normal(s, 2, 3, 6, 5)),
    # The problems
    "my_receptive_field": lambda mine, s: problems_01.receptive_field.__wrapped__(mine, seed=s),
    "my_map": lambda mine, s: problems_01.tsne_map.__wrapped__(mine, net(), seed=s),
    "my_holm": lambda mine, s: problems_01.holm.__wrapped__(mine, seed=s),
    "my_grad_cam": lambda mine, s: problems_02.grad_cam.__wrapped__(mine, net(), layer=f"relu{3 + s % 3}", seed=s),
    "my_pgd": lambda mine, s: problems_02.pgd.__wrapped__(mine, net(), seed=s),
    "my_total_variation": lambda mine, s: problems_02.variation.__wrapped__(mine, seed=s),
    "my_parts": lambda mine, s: problems_02.parts.__wrapped__(mine, net(), seed=s),
    "my_moments": lambda mine, s: problems_03.moments.__wrapped__(mine, seed=s),
    "my_shifted_gram": lambda mine, s: problems_03.gram_at.__wrapped__(mine, seed=s),
    "my_new_style": lambda mine, s: problems_03.new_style.__wrapped__(mine, robust(), *lesson(), seed=s),
    "my_rival": lambda mine, s: contests.rival.__wrapped__(mine, seed=s),
    "my_occluder": lambda mine, s: contests.occluder.__wrapped__(mine, net(), seed=s),
    "my_ascent": lambda mine, s: contests.ascent.__wrapped__(mine, net(), robust(), seed=s),
    "my_painting": lambda mine, s: contests.painting.__wrapped__(mine, robust(), canvas(), seed=s),
    "my_flaw": lambda mine, s: contests.flaw.__wrapped__(mine, net(), seed=s),
}
NAMES = {"torch": torch, "F": F, "activations": activations, "codes": codes, "device": torch.device("cpu")}
