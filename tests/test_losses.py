import pytest
import torch

from helpers.losses import total_variation


def test_a_checkerboard_by_hand():
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(2, 2).expand(2, 3, 4, 4)
    assert total_variation(board).tolist() == [72.0, 72.0]      # 12 pairs each way in 3 colours
    # with beta 1: 9 pixels have both neighbours, 6 one of them
    expected = 3 * (9 * 2 ** 0.5 + 6)
    assert total_variation(board, beta=1.0)[0].item() == pytest.approx(expected, rel=1e-3)


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
