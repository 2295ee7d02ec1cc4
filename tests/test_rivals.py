import pytest
import torch

from helpers.nets import load_net
from helpers.rivals import centre, contrast, detail, edges, untrained


def test_the_centre_is_brightest_in_the_middle_and_asks_no_picture():
    maps = centre(torch.rand(2, 3, 9, 5))
    assert maps.shape == (2, 9, 5) and maps[0].equal(maps[1])
    assert maps[0].argmax() == 4 * 5 + 2 and maps[0, 4, 2] == 1
    assert maps.equal(maps.flip(1)) and maps.equal(maps.flip(2))


def test_edges_by_hand():
    x = torch.zeros(1, 3, 8, 8)
    x[..., 4:] = 1                      # one upright edge: Sobel's weights 1 2 1 give 4 on both sides of it
    assert edges(x)[0, 3].tolist() == pytest.approx([0, 0, 0, 4, 4, 0, 0, 0])
    several = torch.cat([x, torch.rand(2, 3, 8, 8)])
    assert edges(several)[:1].equal(edges(x))       # no picture knows of its neighbours


def test_contrast_and_detail_by_hand():
    x = torch.full((1, 3, 8, 8), 0.25)
    x[0, 2, 4, 4] = 0.89                # blue's mean is 0.26
    assert contrast(x)[0, 4, 4].item() == pytest.approx(0.63) and contrast(x)[0, 0, 0].item() == pytest.approx(0.01)
    assert detail(x, 1.0)[0].argmax() == 4 * 8 + 4 and detail(torch.full((1, 3, 8, 8), 0.4)).max() < 1e-6


def test_the_untrained_is_the_same_again_and_leaves_the_random_state():
    state = torch.get_rng_state()
    one, same, other = untrained("coursenet"), untrained("coursenet"), untrained("coursenet", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert one.fc8.weight.equal(same.fc8.weight) and not one.fc8.weight.equal(other.fc8.weight)
    assert not one.conv1.weight.equal(load_net("coursenet").conv1.weight)


@pytest.mark.parametrize("rival", [centre, contrast, detail, edges])
def test_what_they_refuse(rival):
    with pytest.raises(ValueError, match="expected"):
        rival(torch.rand(3, 8, 8))
