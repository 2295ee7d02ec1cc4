"""Is one method better than another, and does it stay so when hundreds of pairs are asked? Chance alone, many times, as the rival."""

import torch

from helpers.errors import check_count, describe
from helpers.images import numbers


def sign_flips(gains, *, rounds=100_000, seed=0):
    """How often does chance give such a mean? Paired differences (..., n), one for each image -> p-values (...).

    If two methods were equally good, each image's difference might as well have the other sign. So signs are drawn `rounds`
    times, the same for all rows; the p-value is the share of rounds, what was observed being one, whose mean is as far from 0.
    Fisher 1935; Phipson & Smyth 2010 for counting the observed one, without which a p-value could be 0.
    """
    if not torch.is_tensor(gains) or not gains.is_floating_point() or gains.ndim == 0 or gains.shape[-1] < 2 or not gains.isfinite().all():
        raise ValueError(f"Got {describe(gains)}; expected finite differences, (..., n), of at least 2 images. Try a.float() - b.float().")
    check_count(rounds, "rounds")
    rows, generator = gains.detach().cpu().double().reshape(-1, gains.shape[-1]), torch.Generator().manual_seed(seed)
    least, as_far = rows.sum(1).abs() * (1 - 1e-9), torch.ones(len(rows))        # rounding must not decide between equals
    for done in range(0, int(rounds), 5000):
        signs = torch.randint(2, (min(5000, int(rounds) - done), rows.shape[1]), generator=generator).double() * 2 - 1
        as_far += ((signs @ rows.T).abs() >= least).sum(0)
    return (as_far / (int(rounds) + 1)).view(gains.shape[:-1])


def holm(p_values):
    """p-values of many questions, (...) -> what they are worth together, (...): below 0.05 are those that hold at once.

    The smallest is multiplied by the number of questions, the next by one less, and so on; none may end below one before it. Then
    the chance that any of the differences found is none is at most the level. Holm 1979.
    """
    p = numbers(p_values, "p-values")
    if not p.is_floating_point() or not ((0 <= p) & (p <= 1)).all():
        raise ValueError(f"Got {describe(p_values)}; expected p-values from 0 to 1.")
    order = p.flatten().argsort()
    scaled = p.flatten()[order] * torch.arange(p.numel(), 0, -1)
    return scaled.cummax(0).values.clamp(max=1)[order.argsort()].view(p.shape)
