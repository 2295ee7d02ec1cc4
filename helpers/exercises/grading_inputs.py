"""Grade each exercise by its check, on inputs that no notebook shows."""

from functools import cache, partial

import torch
import torch.nn.functional as F

import helpers.exercises.checks as check
from helpers.exercises import challenges, problems
from helpers.exercises.held_out_inputs import generator, held_out_scenes
from helpers.images import resize, sliding_crops
from helpers.networks import class_index, load_net
from helpers.photos import photos
from helpers.style import style_grams

net = cache(partial(load_net, "coursenet"))
robust = cache(partial(load_net, "coursenet-robust"))


def names():
    """Return what an answer may use besides what its own notebook defines."""
    device = torch.device("cpu")
    return {"torch": torch, "F": F, "device": device, "net": net(), "robust": robust()}


def normal(seed, *shape):
    """Draw a tensor of a shape from the standard normal distribution."""
    return torch.randn(shape, generator=generator(seed))


def layers(seed):
    """Draw the (window, stride) of five layers."""
    windows = torch.randint(2, 8, (5,), generator=generator(seed))
    strides = torch.randint(1, 4, (5,), generator=generator(seed + 1))
    return list(zip(windows.tolist(), strides.tolist()))


def cone_logit(x):
    """Compute the logit of the class cone, (b,3,h,w) -> (b,)."""
    return net()(x)[:, class_index(net(), "cone")]


def style_pairs():
    """Return pairs of a content and a style, (1,3,160,160) each."""
    album = photos()
    pairs = [("espresso", "temple"), ("rocket", "dahlia"), ("astronaut", "cat")]
    return [(album[content].load(160), album[style].load(160)) for content, style in pairs]


def new_style_inputs():
    """Return the Gram matrices of a style, crops to train on, and a held-out photograph."""
    album = photos()
    temple = resize(album["temple"].load(), 144)[..., :96, :96]
    style = 1 - temple.roll(1, 1)       # its colors exchanged and inverted: no other picture's
    grams = style_grams(robust(), style, challenges.STYLE_LAYERS)
    crops = [sliding_crops(album[name].load(), [192], size=96)
             for name in ("cat", "espresso", "rocket")]
    return grams, torch.cat(crops), resize(album["astronaut"].load(), 96)


# Name of an exercise -> a function of an answer and a seed -> Feedback.
CHECKS = {
    "my_neighbors": lambda mine, seed: check.nearest_neighbors.feedback(
        mine, normal(seed, 60, 5), None),
    "my_field": lambda mine, seed: check.receptive_field_size.feedback(mine, layers(seed)),
    "my_occlusion": lambda mine, seed: check.occlusion.feedback(
        mine, cone_logit, held_out_scenes(4, seed).images[:1], 16),
    "my_saliency": lambda mine, seed: check.saliency.feedback(
        mine, cone_logit, held_out_scenes(4, seed).images),
    "my_smooth_grad": lambda mine, seed: check.smooth_grad.feedback(
        mine, cone_logit, held_out_scenes(4, seed).images[:1], 0.1 * normal(seed, 6, 3, 64, 64)),
    "my_trimap": lambda mine, seed: check.trimap.feedback(
        mine, normal(seed, 1, 9, 8).square(), None),
    "GuidedReLU": lambda mine, seed: check.guided_relu.feedback(mine, seed=seed),
    "my_gradient_ascent": lambda mine, seed: check.gradient_ascent.feedback(mine, seed=seed),
    "my_attack": lambda mine, seed: check.targeted_attack.feedback(mine, seed=seed),
    "my_inversion_loss": lambda mine, seed: check.inversion_loss.feedback(mine, seed=seed),
    "my_batched_smooth_grad": lambda mine, seed: check.batched_smooth_grad.feedback(
        mine, cone_logit, held_out_scenes(4, seed).images[:1], 0.1 * normal(seed, 6, 3, 64, 64), 4),
    "my_octave": lambda mine, seed: check.octave.feedback(mine, seed=seed),
    "my_octaves": lambda mine, seed: check.octaves.feedback(mine, seed=seed),
    "my_distance": lambda mine, seed: check.window_distance.feedback(mine, seed=seed),
    "my_gram": lambda mine, seed: check.gram_matrix.feedback(mine, normal(seed, 2, 5, 6, 7)),
    "my_instance_norm": lambda mine, seed: check.instance_norm.feedback(
        mine, normal(seed, 2, 3, 6, 5)),
    "my_style_loss": lambda mine, seed: check.style_loss.feedback(mine, seed=seed),
    "my_transfer_loss": lambda mine, seed: check.transfer_loss.feedback(mine, seed=seed),
    "my_training_step": lambda mine, seed: check.training_step.feedback(mine, seed=seed),
    "my_map": lambda mine, seed: problems.tsne_map.feedback(mine, net(), seed=seed),
    "my_position_probe": lambda mine, seed: problems.position_probe.feedback(
        mine, net(), seed=seed),
    "my_grad_cam": lambda mine, seed: problems.grad_cam.feedback(mine, net(), "relu4", seed=seed),
    "my_pgd": lambda mine, seed: problems.pgd.feedback(mine, net(), seed=seed),
    "my_parts": lambda mine, seed: problems.completeness.feedback(mine, net(), seed=seed),
    "my_accentuation_loss": lambda mine, seed: problems.accentuation_loss.feedback(
        mine, seed=seed),
    "my_moments": lambda mine, seed: problems.channel_statistics.feedback(mine, seed=seed),
    "my_shifted_gram": lambda mine, seed: problems.shifted_gram.feedback(mine, seed=seed),
    "my_guided_gram": lambda mine, seed: problems.guided_gram.feedback(mine, seed=seed),
    "my_new_style": lambda mine, seed: problems.new_style.feedback(
        mine, robust(), *new_style_inputs(), seed=seed),
    "my_occluder": lambda mine, seed: challenges.occluder.feedback(mine, net(), seed=seed),
    "my_ascent": lambda mine, seed: challenges.class_visualization.feedback(
        mine, net(), robust(), seed=seed),
    "my_painting": lambda mine, seed: challenges.style_transfer.feedback(
        mine, robust(), style_pairs(), seed=seed),
    "my_flaw": lambda mine, seed: challenges.spurious_cue.feedback(mine, net(), seed=seed),
    "my_patch": lambda mine, seed: challenges.adversarial_patch.feedback(mine, net(), seed=seed),
}
