"""Which pixels a score depends on. A score is a function of images, (b,3,h,w) -> (b,): one number for each image."""

import math
from contextlib import contextmanager, nullcontext
from threading import get_ident

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from helpers.activations import check_eval, find_layer
from helpers.batches import in_batches
from helpers.errors import check_count, check_positive, describe, unknown
from helpers.images import check_images, numbers, pair


def values(score, x):
    """score(x), if it is one number per image, (b,); raises ValueError otherwise."""
    if not callable(score):
        raise TypeError(f"Got {describe(score)} as the score; expected a function of images. Try lambda x: net(x)[:, k].")
    y = score(x)
    if not torch.is_tensor(y) or y.shape != x.shape[:1]:
        raise ValueError(f"The score gave {describe(y)} for {len(x)} image(s); expected one number per image, shape ({len(x)},). "
                         "Try lambda x: net(x)[:, k].")
    return y


def input_gradient(score, x):
    """d score / d x, (b,3,h,w) -> the same shape; each image's gradient is that of its own score.

    Give the score before the softmax: a probability couples the classes, and has no gradient where the network is sure.
    Raises ValueError if the score is not one number per image, or does not depend on it.
    """
    check_images(x)
    return gradient_of(score, x)


def gradient_of(score, x):      # images need not be in [0, 1]: noise may have been added
    with torch.inference_mode(False):       # unlike enable_grad it also ends an inference_mode around the call, and enables gradients
        x = x.detach().clone().requires_grad_()
        y = values(score, x)
        if not y.requires_grad:
            raise ValueError("The score does not depend on the image in a way that can be differentiated. "
                             "Try without torch.no_grad(), argmax, or detach().")
        gradient, = torch.autograd.grad(y.sum(), x, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient


def saliency(score, x):
    """Sensitivity of the score to each pixel, (b,3,h,w) -> (b,h,w): the largest |d score / d x| of its three colours.

    Simonyan 2014. Captum's `Saliency` gives the absolute gradient of each colour instead, (b,3,h,w).
    """
    return input_gradient(score, x).abs().amax(1)


def smooth_grad(score, x, *, samples=16, sigma=0.1, seed=0):
    """Saliency of the gradient's mean over noisy copies, (b,3,h,w) -> (b,h,w).

    Each copy has Gaussian noise of standard deviation `sigma`, in pixels of [0, 1]; it is not clamped. Smilkov 2017, who
    average the gradient with its sign; so do we, and take the largest |mean| of the three colours at the end.
    """
    check_images(x), check_count(samples, "samples"), check_positive(sigma, "sigma", zero=True)
    generator, total = torch.Generator().manual_seed(seed), torch.zeros_like(x)
    for _ in range(int(samples)):
        total += gradient_of(score, x.detach() + sigma * torch.randn(x.shape, generator=generator).to(x))
    return (total / samples).abs().amax(1)


def integrated_gradients(score, x, *, baseline=0.5, steps=32):
    """What each value of x adds to its score, (b,3,h,w) -> the same shape: its way from the baseline times the mean gradient on it.

    The mean is taken at the middles of `steps` equal parts of the straight line from the baseline to x; the more, the closer
    the parts sum to score(x) - score(baseline). `baseline` is a grey, a colour or an image, as for `occlusion`. Sundararajan 2017.
    """
    check_images(x), check_count(steps, "steps")
    start, total = covered(x, baseline), torch.zeros_like(x)
    for step in range(int(steps)):
        total += gradient_of(score, start + (step + 0.5) / steps * (x.detach() - start))
    return (x.detach() - start) * total / steps


def grad_cam(net, x, layer, score):
    """Where a layer's channels speak for a score, images (b,3,h,w) -> (b,h,w): its maps, each weighed by its mean gradient.

    `layer` gives maps, (b,c,i,j), and `score(net(x))` uses the network's output: `lambda y: y[:, k]`, one number per
    image. Negative values become zero; the map is enlarged to the image bilinearly. Selvaraju 2017; Captum's LayerGradCam
    with relu_attributions, enlarged.
    """
    check_images(x), check_eval(net)
    module, found, here = find_layer(net, layer), [], get_ident()

    def cut_here(module, inputs, output):       # what comes before the layer needs no gradient
        if not found and get_ident() == here:   # another thread may use the network at the same time
            found.append(output.detach().clone().requires_grad_())
            return found[0].clone()             # a copy, since an in-place layer may follow

    try:
        with module.register_forward_hook(cut_here), torch.inference_mode(False):
            y = values(lambda x: score(net(x)), x)
    finally:
        here = None         # a hook that an interrupt leaves behind does nothing
    if not found or found[0].ndim != 4:
        raise ValueError(f"Layer {layer!r} has no maps; expected one whose output is (b, channels, h, w), such as the last convolution.")
    with torch.inference_mode(False):
        gradient, = torch.autograd.grad(y.sum(), found[0], allow_unused=True) if y.requires_grad else (None,)
    if gradient is None:
        raise ValueError(f"The score does not depend on layer {layer!r}.")
    cam = (gradient.mean((2, 3), keepdim=True) * found[0].detach()).sum(1, keepdim=True).relu()
    return F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)[:, 0]


AT_ONCE = 420_000       # pixels: 8 copies of 224 x 224. On a CPU more are slower, since the maps of a layer leave the cache


@torch.no_grad()
def occlusion(score, x, *, window=8, stride=4, baseline=0.5):
    """How much the score falls where a window is covered, (b,3,h,w) -> (b,h,w): the mean over the windows that cover a pixel.

    `window` and `stride` are in pixels, an int or (vertical, horizontal). The last window of a row or column ends at the
    border, so that all are whole (Captum's Occlusion clips them). `baseline` is what covers: a grey from 0 to 1, or a
    tensor that fits x, such as a colour (3,1,1) or another image. The score may be a probability. A batch keeps its size
    and order when it is scored; of a single image up to 16 copies are scored at once. Zeiler & Fergus 2014.
    """
    check_images(x)
    (height, width), (down, right), (h, w) = pair(window), pair(stride), x.shape[2:]
    if height > h or width > w:
        raise ValueError(f"Got a window of {height} x {width} pixels for images of {h} x {w}. Try a smaller window.")
    if down > height or right > width:
        raise ValueError(f"Got stride {stride} and window {window}: some pixels would never be covered. Try a stride up to the window.")
    cover, nothing = covered(x, baseline), (slice(0), slice(0))         # the first of the copies is the picture as it is
    places = [nothing, *((slice(i, i + height), slice(j, j + width)) for i in starts(h, height, down) for j in starts(w, width, right))]
    most = max(1, min(16, AT_ONCE // (h * w))) if len(x) == 1 else 1
    at_once = math.ceil(len(places) / math.ceil(len(places) / most))        # rounds of one size

    def scored(some):
        copies = torch.cat([x] * len(some))         # channels last, if x is
        for k, (rows, columns) in enumerate(some):
            copies[k * len(x):(k + 1) * len(x), :, rows, columns] = cover[:, :, rows, columns]
        return values(score, copies).view(len(some), len(x))

    whole, *others = torch.cat(list(in_batches(scored, places, at_once)))
    total, times = x.new_zeros(len(x), h, w), x.new_zeros(h, w)
    for one, (rows, columns) in zip(others, places[1:]):
        total[:, rows, columns] += (whole - one)[:, None, None]
        times[rows, columns] += 1
    return total / times


def covered(x, baseline):
    """What is seen where x is covered: a grey, a colour (3,1,1) or an image, as images of the shape of x."""
    baseline = numbers(baseline, "the baseline").to(x)
    try:
        cover = baseline.expand_as(x)
    except RuntimeError:
        raise ValueError(f"Got a baseline of shape {tuple(baseline.shape)} for images {tuple(x.shape)}; expected a number, a colour "
                         "(3, 1, 1), or an image of that size.") from None
    check_images(cover)
    return cover


def starts(length, window, stride):
    """Where windows begin along one side: every `stride` pixels, and one that ends at the border."""
    return [*range(0, length - window, stride), length - window]


class _Rule(torch.autograd.Function):
    """ReLU, or with `top` 6 ReLU6, with another backward rule for the gradient R from above: Springenberg 2015."""

    @staticmethod
    def forward(ctx, f, rule, top, in_place):
        if in_place:
            ctx.mark_dirty(f)
        h = f.clamp_(0, top) if in_place else f.clamp(0, top)
        if rule == "guided":
            ctx.save_for_backward(h)    # it tells where the ReLU was on, and the layer after it keeps it anyway
        ctx.rule, ctx.top = rule, top
        return h

    @staticmethod
    def backward(ctx, R):
        R = R.clamp(min=0)                              # deconvnet: [R > 0] R
        if ctx.rule == "guided":                        # guided: [f > 0] [R > 0] R; a product with a mask takes twice as long
            (h,), aten = ctx.saved_tensors, torch.ops.aten
            R = aten.threshold_backward(R, h, 0) if ctx.top is None else aten.hardtanh_backward(R, h, 0, ctx.top)
        return R, None, None, None


def relu(input, inplace=False):
    return input, None, inplace


def relu6(input, inplace=False):
    return input, 6, inplace


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):      # nn.ReLU6 calls it from 0 to 6
    return (input, max_val, inplace) if min_val == 0 else None


# How each way of calling a ReLU says what goes in, where it ends, and whether it works in place. nn.ReLU calls F.relu.
RELUS = {torch.relu: relu, torch.Tensor.relu: relu, F.relu: relu, F.relu6: relu6, F.hardtanh: hardtanh}
RELUS |= {in_place: lambda input: (input, None, True) for in_place in (torch.relu_, torch.Tensor.relu_)}        # F.relu_ is torch.relu_
OTHERS = {"gelu", "silu", "leaky_relu", "elu", "selu", "celu", "prelu", "rrelu", "mish", "softplus", "hardswish", "hardtanh"}


class _EveryReLU(TorchFunctionMode):
    """Sees every ReLU however it is called: as a module or a function, in place or not, used once or often."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, getattr(func, "__name__", "").rstrip("_")
        called = RELUS[func](*args, **kwargs) if func in RELUS else None
        if called and isinstance(called[0], torch.Tensor):      # and no stand-in of a tracer, which only follows the steps
            f, top, in_place = called
            return _Rule.apply(f, self.rule, top, in_place)
        if name in OTHERS:
            raise ValueError(f"The network computes {name}, and the rule {self.rule!r} is defined for ReLU and ReLU6 only. "
                             "Try 'plain', which is the derivative of anything.")
        return func(*args, **kwargs)


@contextmanager
def relu_backward(rule):
    """While it is open, every ReLU passes gradients back by `rule`: "plain", "deconvnet" or "guided".

    plain      [f > 0] R            the derivative; of ReLU6 [0 < f < 6] R
    deconvnet          [R > 0] R    Zeiler & Fergus 2014
    guided     [f > 0] [R > 0] R    Springenberg 2015; of ReLU6 [0 < f < 6] [R > 0] R

    The forward pass must run inside. Networks are not changed. Captum's GuidedBackprop and Deconvolution reach only
    ReLUs that are modules. Raises ValueError where the network has another activation, such as GELU or SiLU, for which these
    rules say nothing.
    """
    if rule not in ("plain", "deconvnet", "guided"):
        raise unknown("backward rule", rule, ("plain", "deconvnet", "guided"))
    with nullcontext() if rule == "plain" else _EveryReLU(rule):
        yield
