import pytest
import torch

from helpers.losses import _Products, content_loss, gram_matrix, phase_variance, style_loss, total_variation


def test_a_checkerboard_by_hand():
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(2, 2).expand(2, 3, 4, 4)
    assert total_variation(board).tolist() == [72.0, 72.0]      # 12 pairs each way in 3 colours
    # with beta 1: 9 pixels have both neighbours, 6 one of them
    expected = 3 * (9 * 2 ** 0.5 + 6)
    assert total_variation(board, beta=1.0)[0].item() == pytest.approx(expected, rel=1e-3)
    assert total_variation(board, beta=3.0)[0].item() == pytest.approx(3 * (9 * 2 ** 1.5 + 6))
    assert total_variation(10 * board)[0].item() == 7200        # noise and descents leave [0, 1]: that is allowed


def test_a_slope_and_an_edge():
    """With beta 2 an edge costs more than a slope of the same height, with beta 1 they cost the same."""
    slope, edge = torch.linspace(0, 1, 11).expand(1, 3, 5, 11), (torch.arange(11) > 5).float().expand(1, 3, 5, 11)
    assert total_variation(slope).item() == pytest.approx(15 * 10 * 0.01) and total_variation(edge).item() == pytest.approx(15)
    assert total_variation(slope, beta=1.0).item() == pytest.approx(total_variation(edge, beta=1.0).item(), rel=0.02)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
def test_flat_images_cost_nothing_and_have_a_finite_gradient(beta):
    x = torch.full((1, 3, 6, 6), 0.3, requires_grad=True)
    loss = total_variation(x, beta=beta)
    gradient, = torch.autograd.grad(loss.sum(), x)
    assert loss.item() == 0 and gradient.isfinite().all() and not gradient.any()


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_gradient_by_finite_differences(beta):
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total_variation(x, beta=beta), x)


def test_symmetries():
    x = torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(total_variation(x), total_variation(x.flip(2)))
    torch.testing.assert_close(total_variation(x), total_variation(x.transpose(2, 3)))
    torch.testing.assert_close(total_variation(2 * x), 4 * total_variation(x))


@pytest.mark.parametrize("x, beta, error", [
    (torch.rand(3, 4, 4), 2.0, ValueError), (torch.rand(1, 3, 4, 4), 0.0, ValueError), (torch.rand(1, 3, 4, 4), float("nan"), ValueError),
    (torch.ones(1, 3, 4, 4).int(), 2.0, TypeError),
])
def test_what_it_refuses(x, beta, error):
    with pytest.raises(error, match="expected"):
        total_variation(x, beta=beta)


# ---- Gram matrices and what is built on them ----

def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_gram_by_three_nested_loops():
    f = noise(2, 4, 3, 5)
    expected = torch.zeros(2, 4, 4)
    for n in range(2):
        for i in range(4):
            for j in range(4):
                expected[n, i, j] = sum(f[n, i, y, x] * f[n, j, y, x] for y in range(3) for x in range(5)) / 15
    torch.testing.assert_close(gram_matrix(f), expected)


def test_gram_forgets_the_place_and_keeps_the_company():
    f = noise(1, 6, 8, 8).relu()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(gram_matrix(f.flatten(2)[..., order].view_as(f)), gram_matrix(f))
    alone = torch.stack([c[torch.randperm(64, generator=torch.Generator().manual_seed(k))] for k, c in enumerate(f.flatten(2)[0])])
    apart = gram_matrix(alone.view_as(f))       # each channel shuffled by itself: only the diagonal stays
    torch.testing.assert_close(apart.diagonal(dim1=1, dim2=2), gram_matrix(f).diagonal(dim1=1, dim2=2))
    assert (apart - gram_matrix(f)).abs().max() > 0.01


def test_gram_is_symmetric_positive_and_independent_of_size():
    f = noise(1, 5, 6, 7)
    g = gram_matrix(f)
    torch.testing.assert_close(g, g.transpose(1, 2))
    assert torch.linalg.eigvalsh(g).min() > -1e-6
    torch.testing.assert_close(gram_matrix(f.repeat(1, 1, 2, 3)), g)
    assert gram_matrix(f.bfloat16()).dtype == torch.float32


def test_gradient_of_the_gram_distance_is_that_of_the_derivation():
    """d/dF of ||F F^T / n - A||^2 is 4/n (F F^T / n - A) F."""
    f, target = noise(1, 4, 3, 5).requires_grad_(), gram_matrix(noise(1, 4, 3, 5, seed=1))
    found, = torch.autograd.grad((gram_matrix(f) - target).square().sum(), f)
    flat = f.detach().flatten(2)
    torch.testing.assert_close(found.flatten(2), 4 / 15 * (flat @ flat.transpose(1, 2) / 15 - target) @ flat)


def test_content_and_style_of_the_picture_itself_are_zero():
    f = {"relu1": noise(2, 4, 6, 6), "relu2": noise(2, 8, 3, 3)}
    grams = {layer: gram_matrix(a) for layer, a in f.items()}
    assert content_loss(f["relu1"], f["relu1"]).tolist() == [0, 0] and style_loss(f, grams).tolist() == [0, 0]
    nothing = {layer: torch.zeros_like(a) for layer, a in f.items()}
    torch.testing.assert_close(content_loss(nothing["relu1"], f["relu1"]), torch.ones(2))
    torch.testing.assert_close(style_loss(nothing, grams), torch.ones(2))


def test_style_and_content_by_hand():
    f = {"a": torch.tensor([[[[1.0, 3.0]]]]), "b": torch.tensor([[[[2.0]]]])}       # Gram matrices 5 and 4
    grams = {"a": torch.tensor([[[10.0]]]), "b": torch.tensor([[[1.0]]])}
    assert style_loss(f, grams).item() == pytest.approx((0.25 + 9) / 2)
    small = {layer: x / 1000 for layer, x in f.items()}         # what is relative does not depend on the scale
    assert style_loss(small, {layer: g / 10 ** 6 for layer, g in grams.items()}).item() == pytest.approx((0.25 + 9) / 2, rel=1e-3)
    assert content_loss(f["a"], torch.tensor([[[[1.0, 1.0]]]])).item() == pytest.approx(4 / 2)


def test_style_loss_is_per_image_and_takes_one_or_many_targets():
    f, others = {"a": noise(3, 4, 5, 5)}, {"a": gram_matrix(noise(3, 4, 5, 5, seed=1))}
    one = torch.cat([style_loss({"a": f["a"][k:k + 1]}, {"a": others["a"][k:k + 1]}) for k in range(3)])
    torch.testing.assert_close(style_loss(f, others), one)
    torch.testing.assert_close(style_loss(f, {"a": others["a"][:1]})[1], style_loss(f, {"a": others["a"][:1].expand(3, -1, -1)})[1])


def test_a_black_style_is_no_division_by_zero():
    f = {"a": noise(1, 4, 5, 5).requires_grad_()}
    loss = style_loss(f, {"a": torch.zeros(1, 4, 4)})
    assert loss.isfinite().all() and torch.autograd.grad(loss.sum(), f["a"])[0].isfinite().all()


def test_what_the_losses_on_features_refuse():
    f = noise(1, 4, 5, 5)
    with pytest.raises(ValueError, match=r"expected \(b, channels, height, width\).*larger picture"):
        gram_matrix(noise(1, 4))
    with pytest.raises(ValueError, match=r"Got a float32 tensor of shape \(1, 4, 0, 5\)"):
        gram_matrix(noise(1, 4, 0, 5))
    with pytest.raises(ValueError, match="one size"):
        content_loss(f, noise(1, 4, 5, 6))
    with pytest.raises(ValueError, match="no features of"):
        style_loss({"a": f}, {"b": gram_matrix(f)})
    with pytest.raises(ValueError, match="no Gram matrix"):
        style_loss({"a": f}, {})


# ---- phase_variance ----

def test_phase_variance_by_hand():
    x = torch.zeros(1, 3, 8, 8)
    x[..., ::2, ::2] = 0.4          # of the 16 places of a lattice of four, 4 have 0.4: mean 0.1, variance 3/16 of 0.16
    assert phase_variance(x).item() == pytest.approx(0.16 * 3 / 16)
    x = torch.zeros(2, 3, 9, 10)
    x[0, 0, ::4, 1::4] = 1.0        # one place of 16, in one colour of three; the rest of a lattice is cut off
    found = phase_variance(x)
    assert found.shape == (2,) and found[0].item() == pytest.approx(15 / 256 / 3) and found[1] == 0


def test_phase_variance_does_not_see_what_is_no_lattice():
    slope = torch.linspace(0, 1, 96).expand(1, 3, 96, 96)
    noise = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    assert phase_variance(slope) < 2e-4 and phase_variance(noise) < 1e-4
    x = noise.clone().requires_grad_(True)
    phase_variance(x).sum().backward()
    assert x.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="192 x 3 pixels; expected at least 4 a side"):
        phase_variance(noise[..., :3])
    torch.testing.assert_close(phase_variance(2 * noise), 4 * phase_variance(noise))


def test_the_products_have_the_derivative_that_differences_have():
    f = noise(2, 5, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(_Products.apply, f) and torch.autograd.gradgradcheck(_Products.apply, f)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_gram_has_the_layout_of_the_features(layout):
    f = noise(2, 8, 6, 5).contiguous(memory_format=layout).requires_grad_()
    weights = noise(2, 8, 8, seed=2)            # not symmetric
    found, = torch.autograd.grad((weights * gram_matrix(f)).sum(), f)
    plain, = torch.autograd.grad((weights * torch.einsum("bchw,bdhw->bcd", f, f) / 30).sum(), f)
    torch.testing.assert_close(found, plain)
    if layout is torch.channels_last:
        assert found.is_contiguous(memory_format=layout)


def test_gram_in_autocast_is_that_of_the_features_in_float32():
    f = noise(1, 4, 6, 6).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        inside = gram_matrix(f)
    assert torch.equal(inside, gram_matrix(f)) and torch.autograd.grad(inside.sum(), f)[0].isfinite().all()
