"""Every public function of the helpers, found by introspection, and for each a small ordinary call whose arguments can be exchanged.

`test_public.py` and `run.py trust functions` try strange arguments, modes and contexts on each of them; see `tests/strange.py`.
"""

import dataclasses
import importlib
import inspect
import pkgutil
from functools import cache

import torch

import helpers
from helpers import (
    activations,
    ascent,
    attribution,
    blind,
    evaluation,
    features,
    images,
    interact,
    losses,
    nets,
    optimize,
    param,
    show,
    style,
    transforms,
)  # fmt: skip


def functions():
    """The public functions and classes of the helpers, but for recipes and exercises: dict "losses.gram_matrix" -> function."""
    found = {}
    for info in pkgutil.walk_packages(helpers.__path__, "helpers."):
        name = info.name.removeprefix("helpers.")
        if name.split(".")[0] not in ("recipes", "exercises"):
            module = importlib.import_module(info.name)
            own = [(key, f) for key, f in vars(module).items() if inspect.isroutine(f) or inspect.isclass(f)]
            found |= {f"{name}.{key}": f for key, f in own if f.__module__ == info.name and not key.startswith("_")}
    return found


# ---- Arguments that can be exchanged ----

@dataclasses.dataclass(frozen=True)
class Arg:
    """An argument of a call: what kind of thing it is, which says what is tried in its place, and how it is made, anew for each call."""

    kind: str
    make: object


def drawn(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pictures(n=2, h=24, w=24, *, kind="images", seed=0):
    """`kind` is "images" where pixels must lie in [0, 1], "pixels" where they may leave it."""
    return Arg(kind, lambda: drawn(n, 3, h, w, seed=seed))


def maps(n=2, h=24, w=24, *, seed=0, kind="maps"):
    return Arg(kind, lambda: drawn(n, h, w, seed=seed))


def masks(n=2, h=24, w=24, *, seed=5):
    return Arg("masks", lambda: drawn(n, h, w, seed=seed) > 0.5)


def labels(*numbers, kind="labels"):
    return Arg(kind, lambda: torch.tensor(numbers))


def rows(*shape, seed=0, kind="features"):
    return Arg(kind, lambda: drawn(*shape, seed=seed))


def layer(name="conv2"):
    return Arg("layer", lambda: name)


def count(n):
    return Arg("count", lambda: n)


def amount(value):
    return Arg("amount", lambda: value)


class Small(nets.CourseNet):
    """A CourseNet of few channels, so that thousands of calls take less than a minute."""

    CONV = {name: (8, kernel, stride) for name, (_, kernel, stride) in nets.CourseNet.CONV.items()}
    FC = {"fc6": 32, "fc7": 16}


def small_net(**how):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small([f"class {k}" for k in range(10)], **how).eval().requires_grad_(False)


@cache
def random_net():
    return small_net()


NET = Arg("net", random_net)
ITSELF = Arg("itself", random_net)      # called, not given to a technique: also while training
SCORE = Arg("score", lambda: lambda x: random_net()(x)[:, 2])      # a technique can't see the mode of the network behind a score


class Call:
    """An ordinary call: `run(**arguments)`, or the function itself. `run` may take apart what cannot be exchanged by a keyword."""

    def __init__(self, run=None, **arguments):
        self.run, self.arguments = run, arguments

    def make(self, change=lambda name, arg, value: value):
        return {name: change(name, arg, arg.make()) if isinstance(arg, Arg) else arg for name, arg in self.arguments.items()}

    def __call__(self, function, **values):
        return answer((self.run or function)(**values))


def answer(result):
    """What a call gave as a flat list of tensors, numbers and words: generators are run, dataclasses and dicts taken apart."""
    if torch.is_tensor(result):
        return [result]
    if isinstance(result, torch.nn.Module):
        return answer(dict(result.state_dict()))
    if inspect.isgenerator(result):
        return answer(list(result))
    if dataclasses.is_dataclass(result):
        return answer(vars(result))
    if isinstance(result, dict):
        return [leaf for value in result.values() for leaf in answer(value)]
    if isinstance(result, (list, tuple)):
        return [leaf for value in result for leaf in answer(value)]
    if hasattr(result, "convert"):      # a PIL image
        return [result.tobytes()]
    return [getattr(result, "data", result)]     # of HTML its text


def seeded():
    return torch.Generator().manual_seed(0)


def sgd(p):
    return torch.optim.SGD(p, lr=1e-3)


# ---- The ordinary calls ----

ONE = pictures(1)
BOTH = {"x": pictures(), "layer": layer("conv3")}
CALLS = {
    "activations.layers": Call(lambda net: list(activations.layers(net)), net=NET),
    "activations.find_layer": Call(lambda net, name: str(activations.find_layer(net, name)), net=NET, name=layer()),
    "activations.activations": Call(net=NET, x=pictures(kind="seen"), names=layer()),
    "activations.check_net": Call(net=NET),
    "activations.check_eval": Call(net=NET),
    "adversarial.perturb": Call(score=SCORE, x=pictures(), epsilon=amount(0.3), steps=count(2), restarts=1),
    "adversarial.fool": Call(net=NET, x=pictures(), labels=labels(1, 2), targets=labels(3, 4), step=amount(0.1), steps=count(2)),
    "ascent.ascend": Call(lambda net, classes, image, steps: ascent.ascend(
        net, classes, steps=steps, image=param.PixelImage(image), optimizer=lambda p: optimize.NormalizedGradient(p, lr=0.2)),
                          net=NET, classes=labels(1, 2), image=pictures(), steps=count(2)),
    "ascent.grey_noise": Call(lambda net, n: ascent.grey_noise(net, n, 0)(), net=NET, n=count(1)),
    "ascent.class_pictures": Call(net=NET, classes=labels(1, 2, kind="classes"), batch=count(1), steps=count(1)),
    "ascent.grey_where_small": Call(x=pictures(kind="pixels"), size=maps(seed=1), share=0.2),
    "ascent.named": Call(net=NET, images=pictures(), classes=labels(1, 2), k=count(3)),
    "attribution.values": Call(score=SCORE, x=pictures(kind="seen")),
    "attribution.input_gradient": Call(score=SCORE, x=pictures()),
    "attribution.gradient_of": Call(score=SCORE, x=pictures(kind="seen")),
    "attribution.saliency": Call(score=SCORE, x=pictures()),
    "attribution.smooth_grad": Call(score=SCORE, x=pictures(), samples=count(2), sigma=amount(0.1)),
    "attribution.integrated_gradients": Call(score=SCORE, x=pictures(), baseline=pictures(seed=1, kind="cover"), steps=count(2)),
    "attribution.grad_cam": Call(net=NET, **BOTH, score=lambda y: y[:, 2]),
    "attribution.occlusion": Call(score=SCORE, x=pictures(), window=count(12), stride=count(6), baseline=pictures(seed=1, kind="cover")),
    "attribution.covered": Call(x=pictures(), baseline=pictures(seed=1, kind="cover")),
    "attribution.relu_backward": Call(lambda score, x: guided(score, x), score=SCORE, x=pictures()),
    "blind.blind_test": Call(lambda image: blind.blind_test([(image, "a", "x"), (image, "b", "y")], choices=2) and None, image=ONE),
    "blind.blind_choice": Call(lambda image, a, b: blind.blind_choice([(image, {"x": a, "y": b})]) and None,
                               image=ONE, a=pictures(1, seed=1), b=pictures(1, seed=2)),
    "dream.dream": Call(net=NET, start=ONE, layer=layer(), steps=count(1), octaves=count(2)),
    "dream.descend_octaves": Call(start=ONE, dreaming=lambda image: optimize.descend(image, bright, steps=1), octaves=count(2)),
    "evaluation.check_maps": Call(maps=maps()),
    "evaluation.pointing_game": Call(maps=maps(), masks=masks(), tolerance=1),
    "evaluation.mass_inside": Call(maps=maps(), masks=masks()),
    "evaluation.replacement_curve": Call(score=SCORE, start=pictures(), end=pictures(seed=1), maps=maps(), steps=count(2)),
    "evaluation.area": Call(curve=rows(2, 4, kind="curve")),
    "evaluation.deletion": Call(score=SCORE, x=pictures(), maps=maps(), steps=count(2)),
    "evaluation.insertion": Call(score=SCORE, x=pictures(), maps=maps(), steps=count(2), sigma=amount(2.0)),
    "evaluation.mask_iou": Call(a=masks(), b=masks(seed=6)),
    "evaluation.rank_correlation": Call(a=maps(), b=maps(seed=1)),
    "evaluation.randomize_layers": Call(lambda net, names: evaluation.randomize_layers(net, names).conv2.weight, net=NET, names=layer()),
    "evaluation.bootstrap": Call(values=rows(2, 6, kind="numbers"), resamples=100),
    "features.pooled": Call(a=rows(2, 5, 6, 6, kind="layer's output")),
    "features.codes": Call(net=NET, images=pictures(), names=layer(), batch=count(1)),
    "features.rows": Call(x=rows(3, 4), name="x"),
    "features.nearest_neighbors": Call(queries=rows(2, 8), gallery=rows(5, 8, seed=1), k=count(2)),
    "features.PCA": Call(lambda x, new: features.pca(x, 2)(new), x=rows(6, 4), new=rows(3, 4, seed=1)),
    "features.pca": Call(x=rows(6, 4), k=count(2)),
    "features.linear_probe": Call(features=rows(6, 4), labels=labels(0, 1, 2, 0, 1, 2, kind="codes")),
    "features.Probe": Call(lambda net, x, labels: (probe(net)(x), probe(net).accuracy(x, labels)), net=NET,
                           x=pictures(), labels=labels(1, 0, kind="codes")),
    "features.fit_probe": Call(lambda net, images, labels, layer: features.fit_probe(net, images, labels, layer).weight,
                               net=NET, images=pictures(4), labels=labels(0, 1, 1, 0, kind="codes"), layer=layer()),
    "images.check_images": Call(x=pictures()),
    "images.check_floats": Call(x=rows(2, 3), what="a table", finite=True),
    "images.numbers": Call(x=rows(2, 3, kind="anything"), what="numbers"),
    "images.scaled": Call(images=pictures(kind="ours"), size=(12, 12), mode="bilinear"),
    "images.wide": Call(x=rows(2, 3, kind="ours")),
    "images.in_double": Call(x=rows(2, 3, kind="anything")),
    "images.to_pil": Call(image=ONE),
    "images.center_crop": Call(images=pictures(), shape=count(12)),
    "images.resize": Call(images=pictures(), size=count(12)),
    "images.sliding_crops": Call(lambda image, side, size: images.sliding_crops(image, [side], size=size),
                                 image=ONE, side=count(12), size=count(8)),
    "images.crop_origins": Call(lambda image, side: images.crop_origins([image], [side]), image=ONE, side=count(12)),
    "interact.live": Call(lambda image: list(interact.live([optimize.Step(1, 0.0, image)])), image=pictures(1, kind="ours")),
    "interact.Screen": Call(lambda image: interact.Screen().show(image, "one"), image=ONE),
    "inversion.invert": Call(net=NET, x=ONE, layer=layer(), steps=count(1), tv_weight=amount(1e-3), optimizer=sgd),
    "inversion.code_error": Call(net=NET, found=pictures(), x=pictures(1, seed=1), layer=layer()),
    "losses.total_variation": Call(images=pictures(kind="pixels"), beta=amount(2.0)),
    "losses.phase_variance": Call(images=pictures(kind="pixels"), period=count(4)),
    "losses.gram_matrix": Call(features=rows(2, 5, 4, 4, kind="layer's maps")),
    "losses.relative": Call(difference=rows(2, 5, kind="anything"), target=rows(2, 5, seed=1, kind="anything")),
    "losses.content_loss": Call(features=rows(2, 5, 4, 4, kind="layer's output"), target=rows(2, 5, 4, 4, seed=1, kind="layer's output")),
    "losses.style_loss": Call(lambda features, grams: losses.style_loss({"a": features}, {"a": grams}),
                              features=rows(2, 5, 4, 4, kind="layer's maps"), grams=rows(1, 5, 5, seed=1, kind="layer's output")),
    "nets.Normalize": Call(lambda net, x: net.normalize(x), net=ITSELF, x=pictures(kind="seen")),
    "nets.Network": Call(lambda net, x: net(x), net=ITSELF, x=pictures(kind="seen")),
    "nets.CourseNet": Call(lambda net, x: net(x), net=ITSELF, x=pictures(kind="seen")),
    "nets.class_index": Call(net=NET, name=Arg("layer", lambda: "class 3")),
    "nets.layer_names": Call(net=NET),
    "nets.top_classes": Call(net=NET, x=pictures(), k=count(3)),
    "nets.check_classes": Call(net=NET, classes=labels(1, 2), n=2, device="cpu"),
    "optimize.steepest": Call(gradient=pictures(kind="gradient"), norm="l2"),
    "optimize.NormalizedGradient": Call(lambda x, lr: normalized_step(x, lr), x=rows(2, 3, kind="ours"), lr=amount(1.0)),
    "optimize.descend": Call(lambda image, steps: optimize.descend(param.PixelImage(image), bright, steps=steps),
                             image=ONE, steps=count(2)),
    "optimize.last": Call(lambda image: optimize.last(iter([optimize.Step(1, 0.0, image)])), image=rows(1, 3, kind="ours")),
    "optimize.project_l2": Call(x=pictures(kind="pixels"), center=pictures(seed=1), epsilon=amount(0.5)),
    "optimize.project_linf": Call(x=pictures(kind="pixels"), center=pictures(seed=1), epsilon=amount(0.5)),
    "optimize.check_ball": Call(x=pictures(kind="pixels"), center=pictures(seed=1), epsilon=amount(0.5)),
    "param.parameter": Call(x=rows(2, 3, kind="ours")),
    "param.PixelImage": Call(lambda start: param.PixelImage(start)(), start=pictures()),
    "param.FourierImage": Call(lambda start: param.FourierImage(start)(), start=pictures()),
    "param.MacoImage": Call(lambda magnitude, phase: param.MacoImage(magnitude, phase)(),
                            magnitude=rows(3, 6, 4, kind="waves"), phase=rows(2, 3, 6, 4, seed=1, kind="waves")),
    "param.waves_of": Call(lambda images: param.waves_of(images).abs(), images=pictures()),
    "param.mean_magnitude": Call(photographs=pictures()),
    "patches.receptive_field": Call(net=NET, layer=layer(), image=count(24)),
    "patches.top_patches": Call(net=NET, images=pictures(), layer=layer(), k=count(2), batch=count(1)),
    "patches.unit_gradient": Call(net=NET, x=pictures(), layer=layer(), channel=1,
                                  units=Arg("units", lambda: torch.tensor([[1, 2], [3, 4]]))),
    "rivals.centre": Call(x=pictures()),
    "rivals.edges": Call(x=pictures()),
    "rivals.contrast": Call(x=pictures()),
    "rivals.detail": Call(x=pictures(), sigma=amount(2.0)),
    "segmentation.seeds": Call(saliency_map=maps(1)),
    "segmentation.largest_part": Call(mask=masks(1)),
    "segmentation.grabcut": Call(image=ONE, saliency_map=maps(1), iterations=count(1)),
    "show.heat": Call(values=maps(1)),
    "show.overlay": Call(image=pictures(1, kind="pixels"), values=maps(1)),
    "show.gradient_picture": Call(gradient=pictures(kind="gradient")),
    "show.outline": Call(image=pictures(1, kind="pixels"), mask=masks(1)),
    "show.dots": Call(image=pictures(1, kind="pixels"), seeds=Arg("seeds", lambda: (drawn(1, 24, 24) * 3).long() - 1), every=count(4)),
    "show.make_grid": Call(images=pictures(kind="pixels"), columns=count(2), gap=1),
    "show.picture_map": Call(images=pictures(), points=rows(2, 2, kind="points"), cells=count(3), side=count(8)),
    "show.crop_boxes": Call(images=pictures(kind="pixels"), boxes=Arg("boxes", lambda: torch.tensor([[0, 0, 8, 8], [4, 4, 20, 20]])),
                            side=count(8)),
    "show.fit_width": Call(image=ONE, width=count(20)),
    "show.png": Call(image=ONE, width=count(20)),
    "show.compare": Call(lambda image, values: show.compare(image, values, captions=["a", "b"]), image=ONE, values=maps(1)),
    "show.show": Call(picture=ONE, caption="one"),
    "show.film": Call(lambda a, b: show.film([a, b], "one", alt="one"), a=ONE, b=pictures(1, seed=1)),
    "significance.sign_flips": Call(gains=rows(2, 6, kind="numbers"), rounds=count(20)),
    "significance.holm": Call(p_values=rows(6, kind="chances")),
    "spectrum.power": Call(images=pictures(kind="pixels")),
    "spectrum.fine_share": Call(images=pictures(kind="pixels"), shorter=amount(3.0)),
    "spectrum.lattice": Call(images=pictures(2, 48, 48, kind="pixels")),
    "style.style_features": Call(net=NET, x=pictures(kind="seen"), layers=["pixels", "conv2"]),
    "style.style_grams": Call(net=NET, style=pictures(kind="seen"), layers=["pixels", "conv2"]),
    "style.style_transfer": Call(lambda net, content, style_image, layer, steps: style.style_transfer(
        net, content, style.style_grams(net, style_image, ["conv2"]), content_layer=layer, steps=steps, border=4, optimizer=sgd),
        net=NET, content=pictures(), style_image=pictures(1, seed=1, kind="seen"), layer=layer(), steps=count(1)),
    "style.ConditionalInstanceNorm": Call(lambda x: style.ConditionalInstanceNorm(5)(x, torch.ones(2, 1)).detach(),
                                          x=rows(2, 5, 4, 4, kind="ours")),
    "style.TransformNet": Call(lambda x, mix: transform_net()(x, mix), x=ONE, mix=Arg("mixture", lambda: torch.tensor([0.25, 0.75]))),
    "texture.efros_leung": Call(source=pictures(1, 9, 9), size=count(5), window=count(3)),
    "texture.grow": Call(source=pictures(1, 9, 9), size=count(5), window=count(3)),
    "transforms.gaussian_blur": Call(images=pictures(kind="pixels"), sigma=amount(1.0)),
    "transforms.blur_maps": Call(maps=maps(), sigma=amount(1.0)),
    "transforms.jitter": Call(lambda images, pixels: transforms.jitter(images, pixels, generator=seeded()),
                              images=pictures(kind="pixels"), pixels=2),
    "transforms.pad": Call(images=pictures(kind="pixels"), pixels=2),
    "transforms.mirror_crop": Call(lambda a, b: transforms.mirror_crop(a, b, border=4, generator=seeded()),
                                   a=pictures(kind="pixels"), b=pictures(kind="pixels", seed=1)),
    "transforms.random_scale": Call(lambda images: transforms.random_scale(images, generator=seeded()), images=pictures(kind="pixels")),
    "transforms.random_rotate": Call(lambda images, degrees: transforms.random_rotate(images, degrees, generator=seeded()),
                                     images=pictures(kind="pixels"), degrees=amount(20)),
    "transforms.random_crop": Call(lambda images: transforms.random_crop(images, generator=seeded()), images=pictures(kind="pixels")),
}


def guided(score, x):
    with attribution.relu_backward("guided"):
        return attribution.input_gradient(score, x)


def bright(x):
    return -x.square().sum()


def normalized_step(x, lr):
    p = x.detach().clone().requires_grad_()
    p.grad = x.detach().clone()
    optimize.NormalizedGradient([p], lr=lr).step()
    return p.detach()


def probe(net):
    return features.Probe(net, "fc7", drawn(16, 2), drawn(2))


@cache
def transform_net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return style.TransformNet(2, width=4, blocks=1).eval().requires_grad_(False)


# ---- Those of which less is tried, and why ----

# They take no tensor and no network: their parameters have other names than those that do.
TENSORLESS = """
activations.name_list art.colours art.draw_style art.ink art.style_image attribution.starts efficientnet.conv
errors.check_count errors.check_k errors.check_positive errors.unknown images.full_precision
images.imagenette images.load_image images.load_tiles images.pair images.photos images.Photos interact.ask interact.board
interact.errors_in interact.explore interact.file_button interact.play interact.upload interact.uploaded interact.Line
nets.at_hand nets.fast nets.has_bf16 nets.imagenet_classes nets.load_net nets.load_torchvision nets.load_weights
nets.torchvision_weights param.frequencies rivals.untrained show.beside show.chart show.credit show.figure style.load_transform_net
transforms.uniform weights.read_weights world.scenes.draw_attributes world.scenes.linear world.scenes.read_tiles
world.scenes.render_scenes world.scenes.rotation world.scenes.scenes
""".split()

# Steps inside one computation, or layers of one network. What they get, others have checked; no notebook imports them.
STEPS = {
    "art": "a drawing, of NumPy arrays, that draw_style asks for",
    "attribution": "how a ReLU was called: relu_backward asks",
    "decode": "a picture file, of PIL images, that load_image decodes; `run.py trust pictures` tries thousands",
    "efficientnet": "layers of EfficientNet-Lite0",
    "errors": "an error in words, about anything",
    "evaluation": "a check, tried through those that call it",
    "features": "a check or a step, tried through linear_probe, fit_probe and nearest_neighbors",
    "images": "save_image writes what to_pil gives",
    "interact": "parts of a widget",
    "nets": "networks as files and their layers' names; tests/test_nets.py",
    "param": "the way back from waves_of",
    "patches": "receptive_field's way through a network",
    "segmentation": "what grabcut does when it cannot start",
    "show": "parts of a picture on the page",
    "style": "layers of TransformNet",
    "texture": "grow's check",
    "weights": "files; `run.py trust faults` damages them",
    "world.renderer": "the renderer's steps, whose rays come from render_scenes",
    "world.scenes": "render_scenes' steps",
    "world.solids": "distances of the rendered objects",
}

# They are called, too, but what they get has been checked by others: nobody asks them to refuse. No notebook imports them.
TRUSTING = ("attribution.gradient_of", "attribution.covered", "evaluation.area", "images.in_double", "losses.relative", "optimize.steepest",
            "param.waves_of", "segmentation.largest_part")

# What neither is refused nor gives the ordinary answer: (function, argument, what was tried) -> why.
EXCEPTIONS = {
    ("adversarial.fool", "targets", "None"): "means that any other class will do",
    ("attribution.grad_cam", "net", "made in inference_mode"): "PyTorch's own error says what to do; load_net makes no such network",
}
