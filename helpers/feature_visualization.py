"""Feature visualization: images that maximize class scores, with regularizers."""

from functools import partial

import torch

from helpers.activations import check_eval
from helpers.images import check_images
from helpers.optimization import NormalizedGradient, descend, last
from helpers.parametrization import PixelImage


def gray_noise(net, n, generator):
    """Draw n images of 64 x 64 pixels, gray with noise, on the network's device -> PixelImage."""
    device = next(net.parameters()).device
    return PixelImage.noise(64, 64, batch=n, generator=generator, device=device)


def maximize_class(net, classes, *, steps=16, image=None, optimizer=None, transform=None,
                   regularizer=None, seed=0):
    """Maximize the logits of classes by gradient ascent, one image each: (b,) -> Steps (b,3,h,w).

    Starts from gray noise by normalized steps of length 2; `image` and `optimizer` are those of
    `descend`. The network sees `transform(x)`, such as a jittered x; `regularizer(x)`, (b,), is
    subtracted from the logits. Simonyan 2014, Yosinski 2015, Olah 2017.
    """
    check_eval(net)
    if image is None:
        image = gray_noise(net, len(classes), torch.Generator().manual_seed(seed))
    optimizer = optimizer or partial(NormalizedGradient, lr=2.0)
    transform = transform or (lambda x: x)
    regularizer = regularizer or (lambda x: 0)
    rows = torch.arange(len(image())).to(image().device)
    classes = torch.as_tensor(classes).to(rows)

    def loss(x):
        logits = net(transform(x))[rows, classes]       # (b,)
        return (regularizer(x) - logits).sum()

    yield from descend(image, loss, steps=steps, optimizer=optimizer)


def visualize_classes(net, classes, *, make_image=None, batch=24, seed=0, **options):
    """Visualize classes by `maximize_class`, (n,) -> (n,3,h,w), `batch` of them at a time.

    `make_image` makes so many images: `lambda n: FourierImage.noise(64, 64, batch=n)`.
    """
    if make_image is None:
        make_image = partial(gray_noise, net, generator=torch.Generator().manual_seed(seed))
    images = []
    for part in torch.as_tensor(classes).split(batch):
        steps = maximize_class(net, part, image=make_image(len(part)), **options)
        images.append(last(steps).image)
    return torch.cat(images)


@torch.no_grad()
def in_top_k(net, images, classes, k=1):
    """Tell whether each image's class is among the k most likely, (b,3,h,w), (b,) -> (b,) bool."""
    check_images(images)
    check_eval(net)
    classes = torch.as_tensor(classes).to(images.device)
    logits = torch.cat([net(part) for part in images.split(32)])
    return (logits.topk(k, dim=1).indices == classes[:, None]).any(1)
