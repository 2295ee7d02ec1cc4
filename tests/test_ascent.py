import pytest
import torch

from helpers.ascent import ascend, class_pictures, grey_where_small, named
from helpers.losses import total_variation
from helpers.param import FourierImage, PixelImage
from helpers.transforms import gaussian_blur, jitter


def waves(n):
    return FourierImage.noise(64, 64, batch=n, generator=torch.Generator().manual_seed(0))


RULES = {
    "nothing": {},
    "L2": {"penalty": lambda x: 0.05 * (x - 0.5).square().sum((1, 2, 3))},
    "variation": {"penalty": lambda x: 1e-3 * total_variation(x)},
    "blur": {"between": lambda x, g, i: gaussian_blur(x, 0.5) if i % 4 == 0 else x},
    "small pixels": {"between": lambda x, g, i: grey_where_small(x, (x - 0.5).norm(dim=1), 0.1)},
    "small gradients": {"between": lambda x, g, i: grey_where_small(x, ((x - 0.5) * g).sum(1).abs(), 0.1)},
    "jitter": {"see": lambda x: jitter(x, 4, generator=torch.Generator().manual_seed(0))},
    "Fourier": {"image": waves, "optimizer": lambda p: torch.optim.Adam(p, lr=0.2)},
}


@pytest.mark.parametrize("rule", RULES)
def test_every_row_of_the_table_climbs(random_net, rule):
    classes = [1, 4, 7]
    start = class_pictures(random_net, classes, steps=1, **RULES[rule])
    found = class_pictures(random_net, classes, steps=12, **RULES[rule])
    assert found.shape == (3, 3, 64, 64) and 0 <= found.min() and found.max() <= 1 and not found.requires_grad
    score = lambda x: random_net(x)[range(3), classes]
    assert (score(found) > score(start)).all()


def test_it_is_the_loop_written_out(random_net):
    x = PixelImage.noise(64, 64, batch=2, generator=torch.Generator().manual_seed(0))().detach().clone()
    for _ in range(3):
        x = x.requires_grad_()
        g, = torch.autograd.grad(random_net(x)[range(2), [3, 5]].sum(), x)
        x = (x + 2 * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1).detach()
    *_, last = ascend(random_net, [3, 5], steps=3)
    torch.testing.assert_close(last.image, x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(class_pictures(random_net, [3, 5], steps=3), last.image)


def test_between_sees_the_pixels_their_gradient_and_the_number():
    class Sum(torch.nn.Module):
        classes = ["a", "b"]

        def forward(self, x):
            return torch.stack([x.sum((1, 2, 3)), x.mean((1, 2, 3))], 1)

    seen = []

    def between(x, g, i):
        seen.append((x.clone(), g.clone(), i))
        return torch.full_like(x, 0.25)

    *_, last = ascend(Sum(), [0], steps=3, image=PixelImage(torch.full((1, 3, 4, 4), 0.5)), between=between)
    assert [i for _, _, i in seen] == [1, 2, 3]
    assert all(torch.equal(g, -torch.ones(1, 3, 4, 4)) for _, g, _ in seen)         # of the loss, which is minus the score
    torch.testing.assert_close(seen[1][0], torch.full((1, 3, 4, 4), 0.25 + 2 / 48 ** 0.5))
    assert last.index == 3
    assert torch.equal(last.image, torch.full((1, 3, 4, 4), 0.25))      # the picture is the one that was regularised


@pytest.mark.parametrize("image", [None, lambda n: PixelImage(torch.full((n, 3, 64, 64), 0.4)), waves])
def test_batches_do_not_change_a_picture(random_net, image):
    """All starts are drawn at once: each part must not begin with the same noise again."""
    one, two = (class_pictures(random_net, [1, 2, 3], steps=3, image=image, batch=b, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
                for b in (1, 24))
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


def test_small_ones_turn_grey():
    x = torch.arange(12.0).view(1, 1, 3, 4).expand(1, 3, 3, 4) / 12
    grey = grey_where_small(x, torch.arange(12.0).view(1, 3, 4), 0.5)
    assert (grey[0, :, :1] == 0.5).all() and (grey[0, :, 1, :2] == 0.5).all() and torch.equal(grey[0, :, 2], x[0, :, 2])
    assert (grey == 0.5).flatten(1).sum() == 3 * 6 + 3 * (x[0, 0].flatten()[6:] == 0.5).sum()
    assert torch.equal(grey_where_small(x, torch.ones(1, 3, 4), 0.9), x)        # of equals none goes
    assert torch.equal(grey_where_small(x, torch.arange(12.0).view(1, 3, 4), 0), x)
    with pytest.raises(ValueError, match="one for each pixel"):
        grey_where_small(x, torch.ones(3, 4), 0.5)
    with pytest.raises(ValueError, match="share"):
        grey_where_small(x, torch.ones(1, 3, 4), 1.0)


def test_named_by_hand(random_net, images):
    order = random_net(images).argsort(dim=1, descending=True)
    assert named(random_net, images, order[:, 0]).all() and not named(random_net, images, order[:, 1]).any()
    assert named(random_net, images, order[:, 2], k=3).all() and not named(random_net, images, order[:, 3], k=3).any()
    with pytest.raises(ValueError, match="k=11"):
        named(random_net, images, order[:, 0], k=11)


@pytest.mark.parametrize("classes, how, says", [
    ([10], {}, "expected 0 to 9"), ([0.5], {}, "expected one whole number"), ([1], {"steps": 0}, "at least 1"),
    ([1, 2], {"image": PixelImage(torch.full((1, 3, 64, 64), 0.5))}, "for each of 1 images"),
    ([1], {"image": waves(1), "between": lambda x, g, i: x}, "has none of its own"),
])
def test_what_it_refuses(random_net, classes, how, says):
    with pytest.raises(ValueError, match=says):
        next(ascend(random_net, classes, **how))


def test_a_penalty_that_is_no_number_stops_with_the_step(random_net):
    calls = []

    def penalty(x):
        calls.append(1)
        return x.sum((1, 2, 3)) * (torch.nan if len(calls) == 3 else 0)

    steps = []
    with pytest.raises(ValueError, match="nan at step 3"):
        for step in ascend(random_net, [1], steps=5, penalty=penalty):
            steps.append(step)
    assert len(steps) == 2 and steps[-1].image.isfinite().all()


def test_nothing_is_changed(random_net, unchanged):
    with unchanged(random_net):
        class_pictures(random_net, [1], steps=2, **RULES["jitter"])
        class_pictures(random_net, [1], steps=2, **RULES["Fourier"])
        named(random_net, torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)), [1])


def test_small_pixels_are_grey_wherever_they_are():
    x = torch.tensor([3.0, -2.0, 0.25, 0.75]).view(1, 1, 2, 2).expand(1, 3, 2, 2)       # a descent leaves [0, 1]
    assert grey_where_small(x, (x[:, 0] - 0.5).abs(), 0.5)[0, 0].flatten().tolist() == [3, -2, 0.5, 0.5]


@pytest.mark.parametrize("share", [-0.5, 1.0])
def test_a_share_is_from_0_to_less_than_1(share):
    with pytest.raises(ValueError, match=f"Got a share of {share}"):
        grey_where_small(torch.rand(1, 3, 4, 4), torch.rand(1, 4, 4), share)
