import pytest
import torch

from helpers.losses import (
    checkerboard_loss,
    content_loss,
    gram_matrix,
    relative_error,
    style_loss,
    total_variation,
)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_total_variation_by_hand():
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(2, 2).expand(2, 3, 4, 4)
    assert total_variation(board).tolist() == [72.0, 72.0]      # 12 pairs each way in 3 colors
    expected = 3 * (9 * 2 ** 0.5 + 6)       # 9 pixels have both neighbors, 6 have one
    assert total_variation(board, beta=1.0)[0].item() == pytest.approx(expected)


def test_gradient_of_total_variation():
    x = noise(2, 3, 4, 5).double().requires_grad_()
    flat = torch.full((1, 3, 6, 6), 0.3, requires_grad=True)
    for beta in (1.0, 1.5, 2.0):
        assert torch.autograd.gradcheck(lambda x, beta=beta: total_variation(x, beta=beta), x)
        gradient, = torch.autograd.grad(total_variation(flat, beta=beta).sum(), flat)
        assert not gradient.any()       # nor is it NaN


def test_checkerboard_by_hand():
    x = torch.zeros(2, 3, 9, 10)
    x[0, 0, ::4, 1::4] = 1.0        # one set of 16, in one color of three; the ninth row is cut off
    assert checkerboard_loss(x).tolist() == pytest.approx([15 / 256 / 3, 0])
    x = torch.zeros(1, 3, 8, 8)
    x[..., ::2, ::2] = 0.4          # period 2: four of the sixteen sets
    assert checkerboard_loss(x).item() == pytest.approx(0.16 * 3 / 16)
    slope = torch.linspace(0, 1, 96).expand(1, 3, 96, 96)
    assert checkerboard_loss(slope) < 2e-4


def test_gram_matrix_is_that_of_three_loops():
    f = noise(2, 4, 3, 5)
    expected = torch.zeros(2, 4, 4)
    for n in range(2):
        for i in range(4):
            for j in range(4):
                expected[n, i, j] = (f[n, i] * f[n, j]).mean()
    torch.testing.assert_close(gram_matrix(f), expected)
    torch.testing.assert_close(gram_matrix(f.repeat(1, 1, 2, 3)), expected)     # of any size
    assert gram_matrix(f.bfloat16()).dtype == torch.float32


def test_gram_matrix_ignores_positions_and_keeps_coincidence():
    f = noise(1, 6, 64).relu()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    together = f[..., order].view(1, 6, 8, 8)
    torch.testing.assert_close(gram_matrix(together), gram_matrix(f.view(1, 6, 8, 8)))
    apart = torch.stack([f[0, c].roll(7 * c) for c in range(6)]).view(1, 6, 8, 8)
    change = (gram_matrix(apart) - gram_matrix(f.view(1, 6, 8, 8))).abs()[0]
    assert change.diagonal().max() < 1e-6 < 0.01 < change.max()


def test_gradient_of_the_gram_distance_is_that_of_the_derivation():
    """The gradient of ||F F^T / n - A||^2 is 4/n (F F^T / n - A) F."""
    f, target = noise(1, 4, 3, 5).requires_grad_(), gram_matrix(noise(1, 4, 3, 5, seed=1))
    found, = torch.autograd.grad((gram_matrix(f) - target).square().sum(), f)
    flat = f.detach().flatten(2)
    expected = 4 / 15 * (flat @ flat.mT / 15 - target) @ flat
    torch.testing.assert_close(found.flatten(2), expected)


def test_style_and_content_by_hand():
    f = {"a": torch.tensor([[[[1.0, 3.0]]]]), "b": torch.tensor([[[[2.0]]]])}   # Gram 5 and 4
    grams = {"a": torch.tensor([[[10.0]]]), "b": torch.tensor([[[1.0]]])}
    assert style_loss(f, grams).item() == pytest.approx((0.25 + 9) / 2)
    assert content_loss(f["a"], torch.ones(1, 1, 1, 2)).item() == pytest.approx(4 / 2)
    assert relative_error(torch.zeros(1, 2), torch.zeros(1, 2)).item() == 0     # a black target


def test_losses_are_relative_and_per_image():
    f = {"a": noise(3, 4, 6, 6), "b": noise(3, 8, 3, 3)}
    grams = {layer: gram_matrix(x) for layer, x in f.items()}
    none = {layer: torch.zeros_like(x) for layer, x in f.items()}
    assert content_loss(f["a"], f["a"]).tolist() == style_loss(f, grams).tolist() == [0, 0, 0]
    torch.testing.assert_close(content_loss(none["a"], f["a"]), torch.ones(3))
    torch.testing.assert_close(style_loss(none, grams), torch.ones(3))
    first = {layer: gram[:1] for layer, gram in grams.items()}      # one target for all images
    found = style_loss(f, first)
    assert found[0] == 0 and (found[1:] > 0.01).all()


def test_wrong_inputs_and_purity():
    f = noise(1, 4, 5, 5).requires_grad_()
    before = f.detach().clone()
    with pytest.raises(IndexError):
        gram_matrix(noise(1, 4))        # a layer without feature maps
    with pytest.raises(KeyError, match="relu9"):
        style_loss({"relu1": f}, {"relu9": gram_matrix(f)})
    total_variation(f)
    content_loss(f, 2 * f.detach())
    assert torch.equal(f, before) and f.grad is None
