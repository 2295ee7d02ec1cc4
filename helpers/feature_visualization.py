"""Feature visualization: images that maximize class scores, with regularizers."""

import torch

from helpers.activations import check_eval
from helpers.images import check_images
from helpers.optimization import NormalizedGradient, descend
from helpers.parametrization import PixelImage


def maximize_class(net, classes, *, steps=16, image=None, transform=lambda x: x,
                   regularizer=lambda x: 0, optimizer=lambda p: NormalizedGradient(p, 2.0), seed=0):
    """Maximize the logits of classes by gradient ascent, one image each: (b,) -> Steps (b,3,h,w).

    Starts from gray noise by normalized steps of length 2; `image` and `optimizer` are those of
    `descend`. The network sees `transform(x)`, such as a jittered x; `regularizer(x)`, (b,), is
    subtracted from the logits. Simonyan 2014, Yosinski 2015, Olah 2017.
    """
    check_eval(net)
    if image is None:
        device = next(net.parameters()).device
        generator = torch.Generator().manual_seed(seed)
        image = PixelImage.noise(64, 64, batch=len(classes), generator=generator, device=device)
    rows = torch.arange(len(image())).to(image().device)
    classes = torch.as_tensor(classes).to(rows)

    def loss(x):
        logits = net(transform(x))[rows, classes]       # (b,)
        return (regularizer(x) - logits).sum()

    yield from descend(image, loss, steps=steps, optimizer=optimizer)


@torch.no_grad()
def is_classified_as(net, images, classes):
    """Tell whether the network predicts each image's class, (b,3,h,w), (b,) -> (b,) bool."""
    check_images(images)
    check_eval(net)
    classes = torch.as_tensor(classes).to(images.device)
    return torch.cat([net(part).argmax(1) for part in images.split(32)]) == classes
