"""Sign flips and Holm's correction: by hand, against scipy, and against their own definitions."""

import pytest
import torch
from scipy import stats

from helpers.significance import holm, sign_flips


def test_sign_flips_by_hand():
    # Of the 8 signs of three equal differences two have a mean as far from 0: all plus, all minus.
    assert sign_flips(torch.tensor([1.0, 1.0, 1.0])).item() == pytest.approx(2 / 8, abs=0.01)
    assert sign_flips(torch.tensor([0.0, 0.0])).item() == 1
    assert sign_flips(torch.ones(40), rounds=999).item() == pytest.approx(1 / 1000)       # never 0: the observed one counts
    assert sign_flips(torch.zeros(2, 3), rounds=11_111).tolist() == [1, 1]      # in parts: each round counts once


def test_sign_flips_as_scipy_permutes():
    gains = torch.randn(3, 25, generator=torch.Generator().manual_seed(0)) + torch.tensor([[0.0], [0.3], [0.6]])
    theirs = [stats.permutation_test((row.numpy(),), lambda x: x.mean(), permutation_type="samples", n_resamples=100_000, rng=1).pvalue
              for row in gains]
    assert sign_flips(gains).tolist() == pytest.approx(theirs, abs=0.005, rel=0.05)


def test_sign_flips_are_fair_where_nothing_differs():
    gains = torch.randn(400, 30, generator=torch.Generator().manual_seed(1))
    found = (sign_flips(gains, rounds=2000) < 0.05).float().mean()
    assert 0.02 < found < 0.09


def test_sign_flips_keep_the_shape_and_change_nothing():
    gains, state = torch.randn(2, 3, 10), torch.get_rng_state()
    before = gains.clone()
    assert sign_flips(gains, rounds=100).shape == (2, 3) and torch.equal(gains, before) and torch.equal(state, torch.get_rng_state())
    assert torch.equal(sign_flips(gains, rounds=100), sign_flips(gains, rounds=100))


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 may not be below the 0.06 before it, and 0.6 x 1
    assert holm(torch.tensor([0.02, 0.6, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.6, 0.04, 0.06])
    assert holm(torch.tensor([[0.5], [0.9]])).tolist() == [[1.0], [1.0]]
    assert holm(torch.tensor([0.0, 0.7, 0.8])).tolist() == [0.0, 1.0, 1.0]


def test_holm_rejects_as_its_steps_do():
    for seed in range(20):
        p = torch.rand(12, generator=torch.Generator().manual_seed(seed)) ** 4
        rejected = []
        for step, k in enumerate(p.argsort().tolist()):         # step down, and stop at the first that is too large
            if p[k] > 0.05 / (len(p) - step):
                break
            rejected.append(k)
        assert (holm(p) <= 0.05).nonzero().flatten().tolist() == sorted(rejected)


@pytest.mark.parametrize("gains", [torch.ones(1), torch.tensor(1.0), torch.ones(3).long(), torch.tensor([1.0, torch.nan]), [1.0, 2.0]])
def test_what_sign_flips_refuse(gains):
    with pytest.raises(ValueError, match="expected finite differences"):
        sign_flips(gains)


@pytest.mark.parametrize("p", [torch.tensor([1, 0]), torch.tensor([1.5]), torch.tensor([-0.1]), torch.tensor([torch.nan])])
def test_what_holm_refuses(p):
    with pytest.raises(ValueError, match="expected p-values from 0 to 1"):
        holm(p)
