"""ImageNet's networks at work: EfficientNet-Lite0 as it is installed, torchvision's with random weights and from a server."""

import copy
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import torch.nn.functional as F

from helpers.activations import activations
from helpers.adversarial import fool
from helpers.ascent import class_pictures, named
from helpers.attribution import grad_cam, input_gradient, occlusion, relu_backward, saliency, smooth_grad
from helpers.dream import dream
from helpers.evaluation import randomize_layers, rank_correlation
from helpers.features import fit_probe
from helpers.images import photos
from helpers.inversion import code_error, invert
from helpers.nets import at_hand, class_index, fast, has_bf16, layer_names, load_net, top_classes, torchvision_weights
from helpers.optimize import descend, last
from helpers.param import FourierImage, PixelImage
from helpers.patches import receptive_field, top_patches

# An inner layer of each, and some names that a reader of the papers would try.
GUESTS = {
    "efficientnet-lite0": ("block6", ["stem", "block1", "block5.expand_relu", "block16", "head", "avgpool", "fc"]),
    "alexnet": ("relu3", ["conv1", "relu5", "pool5", "fc6", "fc8"]),
    "vgg16": ("relu3_3", ["conv1_1", "relu4_2", "conv5_3", "pool5", "fc6", "fc8"]),
    "squeezenet1_1": ("fire5", ["conv1", "fire2", "fire9.squeeze", "conv10"]),
    "googlenet": ("inception3b", ["conv1", "inception3a", "inception4c.branch2", "inception5b", "fc"]),
    "resnet50": ("layer2", ["conv1", "layer1", "layer4.2.conv3", "fc"]),
}


@pytest.fixture(scope="module", params=GUESTS)
def guest(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = load_net(request.param, weights=None)
    return net, *GUESTS[request.param]


@pytest.fixture(scope="module")
def x():
    return torch.cat([photos()[name].load(96) for name in ("cat", "dahlia")])


def test_layers_by_the_fields_names(guest):
    net, inner, some = guest
    assert {inner, *some} <= set(layer_names(net)) and len(net.classes) == 1000
    assert receptive_field(net, inner).size > 10


def test_a_batch_is_a_loop_and_nothing_is_changed(guest, x, unchanged):
    net, inner, _ = guest
    with unchanged(net, x):
        maps = saliency(lambda y: net(y)[:, 7], x)
        cams = grad_cam(net, x, inner, lambda y: y[:, 7])
        torch.testing.assert_close(maps, torch.cat([saliency(lambda y: net(y)[:, 7], one) for one in x.split(1)]), rtol=1e-2, atol=1e-5)
        alone = torch.cat([grad_cam(net, one, inner, lambda y: y[:, 7]) for one in x.split(1)])
        torch.testing.assert_close(cams, alone, rtol=1e-2, atol=1e-5)
        assert top_patches(net, x, inner, 2).boxes.shape[1:] == (2, 4)


def test_guided_backprop_reaches_every_relu(guest, x):
    """By hand on the pieces of one layer: what guided backprop hands down through it has no negative part at any ReLU's input."""
    net, inner, _ = guest
    score = lambda y: activations(net, y, inner)[inner].mean((1, 2, 3))
    plain = input_gradient(score, x)
    with relu_backward("guided"):
        guided = input_gradient(score, x)
    assert guided.abs().sum() > 0 and rank_correlation(plain.abs().amax(1), guided.abs().amax(1)).max() < 0.999
    hooks = []
    try:        # a network whose ReLUs are all modules: hooks must give the same
        relus = [m for m in net.modules() if isinstance(m, (torch.nn.ReLU, torch.nn.ReLU6))]
        hooks = [m.register_full_backward_hook(lambda m, below, above: (below[0].clamp(min=0),)) for m in relus]
        hooked = input_gradient(score, x)
    finally:
        for hook in hooks:
            hook.remove()
    if type(net).__name__ == "GoogLeNet":       # its ReLUs are functions, which hooks cannot reach
        assert torch.equal(hooked, plain)
    else:
        torch.testing.assert_close(hooked, guided, rtol=1e-3, atol=1e-3 * float(guided.abs().max()))


def test_inversion_and_dream_at_an_inner_layer(guest, x):
    net, inner, _ = guest
    start = torch.full((1, 3, 96, 96), 0.5)
    step = last(invert(net, x[:1], inner, image=PixelImage(start), steps=6, tv_weight=0.0))
    assert code_error(net, step.image, x[:1], inner) < code_error(net, start, x[:1], inner)
    energy = lambda y: activations(net, y, inner)[inner].square().sum()
    assert energy(last(dream(net, x[:1], inner, steps=3, octaves=1, shift=0)).image) > energy(x[:1])


# ---- EfficientNet-Lite0 at 224 pixels, with its weights ----

@pytest.fixture(scope="module")
def big():
    return load_net("efficientnet-lite0").to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def album():
    return torch.cat([photos()[name].load(224) for name in ("cat", "espresso", "temple", "dahlia")])


def test_maps_point_at_the_cup(big, album):
    """Its rim reaches from row 10 to row 130 and from column 35 to column 175; saucer, spoon and table lie outside."""
    k, cup = class_index(big, "espresso"), album[1:2]
    score = lambda y: big(y)[:, k]
    for m in (grad_cam(big, cup, "block16", lambda y: y[:, k]), smooth_grad(score, cup, sigma=0.15)):
        row, column = divmod(m[0].argmax().item(), 224)
        assert 10 <= row < 130 and 35 <= column < 175
    assert occlusion(score, cup, window=64, stride=40).max() > 0


def test_shuffled_layers_and_probes(big, album):
    shuffled = randomize_layers(big, ["fc", "head"])
    assert not named(shuffled, album[1:2], [class_index(big, "espresso")], k=5).any()
    probe = fit_probe(big, torch.cat([album, album.flip(3)]), torch.tensor([0, 1, 2, 3] * 2), "block12")
    assert probe.accuracy(album, torch.arange(4)) == 1


def test_it_can_be_fooled(big, album):
    k = class_index(big, "koala")
    found = fool(big, album[:1], big(album[:1]).argmax(1), targets=[k], step=0.3, steps=30)
    assert found.success.all() and named(big, found.images, [k]).all()
    assert found.distances < 6          # of 388 from black to white


def test_class_pictures_climb(big):
    k = class_index(big, "king penguin")
    waves = lambda n: FourierImage.noise(224, 224, batch=n, generator=torch.Generator().manual_seed(0))
    with fast("cpu"):
        x = class_pictures(big, [k], steps=12, image=waves, optimizer=lambda p: torch.optim.Adam(p, lr=0.25))
    assert named(big, x, [k]).all()


def test_half_precision_only_where_it_is_asked_for(big, album):
    score = lambda y: big(y)[:, 285]
    exact = saliency(score, album)
    with fast("cpu"):
        quick = saliency(lambda y: score(y).float(), album)
    again = saliency(score, album)
    assert torch.equal(exact, again) and exact.dtype == torch.float32
    if has_bf16("cpu"):
        assert 0.5 < rank_correlation(exact, quick).min() < 0.99     # a gradient in bf16 is a coarse one
    else:
        assert torch.equal(exact, quick)


def test_descend_at_224(big, album):
    step, *_ = descend(PixelImage(album[:1]), lambda y: -big(y)[:, 285].sum(), steps=1)
    assert big(step.image)[0, 285] > big(album[:1])[0, 285]


# ---- weights from a server ----

class Server(ThreadingHTTPServer):
    """Serves one file in torchvision's layout, whole, cut off, or something else."""

    def __init__(self, content):
        self.content, self.sends, self.asked = content, "whole", 0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked += 1
        content = {"whole": server.content, "cut off": server.content, "html": b"<html>Please log in.</html>"}[server.sends]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:len(content) // 2] if server.sends == "cut off" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of SqueezeNet's weights, random ones, and an empty cache."""
    net = load_net("squeezenet1_1", weights=None)
    from torchvision import models
    twin = models.squeezenet1_1()
    torch.save(twin.state_dict(), tmp_path / "weights.pth")
    content = (tmp_path / "weights.pth").read_bytes()
    served = Server(content)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    name = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(torchvision_weights("squeezenet1_1").value, "url", f"http://127.0.0.1:{served.server_port}/{name}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    served.twin, served.net = twin.eval(), copy.deepcopy(net)
    yield served
    served.shutdown(), served.server_close()


def test_weights_are_fetched_once_with_their_size_said_and_progress_shown(server, capsys, x):
    assert not at_hand("squeezenet1_1")
    net = load_net("squeezenet1_1")
    said = capsys.readouterr()
    assert "squeezenet1_1: weights of 5 MB" in said.out and "100%" in said.err
    assert torch.allclose(net.conv1.weight, server.twin.features[0].weight) and at_hand("squeezenet1_1")
    load_net("squeezenet1_1", weights="IMAGENET1K_V1")
    assert server.asked == 1


@pytest.mark.parametrize("sends", ["cut off", "html"])
def test_half_a_file_is_never_taken_for_a_whole_one(server, sends):
    server.sends = sends
    with pytest.raises(ValueError, match=r"could not be downloaded: .*load_net\('coursenet'\)"):
        load_net("squeezenet1_1")
    assert not at_hand("squeezenet1_1")
    server.sends = "whole"
    assert F.relu(load_net("squeezenet1_1")(torch.rand(1, 3, 64, 64))).shape == (1, 1000)


def test_a_server_that_is_gone(server):
    server.shutdown(), server.server_close()
    with pytest.raises(ValueError, match="could not be downloaded"):
        load_net("squeezenet1_1")
    assert not at_hand("squeezenet1_1") and top_classes(server.net, torch.rand(1, 3, 64, 64), 1)
