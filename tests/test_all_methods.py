"""All methods under one signature, and all on one image."""

import torch

from helpers.all_methods import METHODS, all_methods
from helpers.attribution import class_score, saliency
from helpers.networks import load_net
from helpers.scenes import scenes


def test_each_method_gives_a_map_per_image_for_its_own_class():
    net = load_net()
    part = scenes()[:2]
    for method in METHODS.values():
        both = method(net, part.images, part.labels + 64)
        second = method(net, part.images[1:], part.labels[1:] + 64)
        assert both.shape == (2, 64, 64) and both.isfinite().all()
        assert torch.corrcoef(torch.stack([both[1].flatten(), second.flatten()]))[0, 1] > 0.5
    plain = saliency(class_score(net, part.labels + 64), part.images)
    torch.testing.assert_close(METHODS["saliency"](net, part.images, part.labels + 64), plain)


def test_all_methods_draw_pictures_and_the_last_one_misleads():
    net = load_net()
    x = scenes()[:1].images
    label = net(x).argmax(1)
    drawn = dict(reversed(step) for step in all_methods(net, x, label))
    assert set(METHODS) < set(drawn)
    assert all(picture.shape[:2] == (1, 3) for picture in drawn.values())
    attacked = list(drawn.values())[-1]
    assert net(attacked).argmax(1) != label and list(drawn)[-1].startswith("adversarial")
