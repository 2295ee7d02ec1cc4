"""Rows for notebook 1: occlusion, saliency, best patches, neighbours, t-SNE."""

import torch
from races.common import LAST, cat, in_half, network, ranks, score_of, world
from races.race import Race
from threadpoolctl import threadpool_limits

from helpers.activations import activations
from helpers.attribution import AT_ONCE, occlusion, saliency
from helpers.features import codes, nearest_neighbors, pca
from helpers.patches import top_patches


def occlusions():
    """Captum by its default, one window at a time, and by other settings, of which one is the best."""
    from captum.attr import Occlusion

    for name, size, window in [("coursenet", 64, 8), ("efficientnet-lite0", 224, 32), ("vgg11", 224, 56)]:
        net, x, score = network(name), cat(size), score_of(name, cat(size))
        theirs = Occlusion(score)
        ours = lambda score=score, x=x, window=window: occlusion(score, x, window=window, stride=window // 2)

        def captum(at_once, x=x, window=window, theirs=theirs):
            shape, strides = (3, window, window), (3, window // 2, window // 2)
            return theirs.attribute(x, shape, strides=strides, baselines=0.5, perturbations_per_eval=at_once).mean(1)

        @torch.no_grad()
        def bare(net=net, x=x, pictures=(2 * size // window - 1) ** 2 + 1):
            many = x.expand(min(16, AT_ONCE // x[0, 0].numel()), -1, -1, -1).contiguous(**LAST)
            for first in range(0, pictures, len(many)):
                net(many[:pictures - first])

        settings = {f"Captum, {n} at once": lambda n=n, captum=captum: captum(n) for n in (4, 16, 64)}
        yield Race(f"occlusion, {name}, {size} px", ours, {"Captum": lambda captum=captum: captum(1), **settings},
                   {"Captum": 1.5}, bare, in_half(ours), agree=ranks)


def saliencies():
    from captum.attr import Saliency

    x, y = world(32), torch.arange(32) % 8 + 64
    net, rows = network("coursenet"), torch.arange(32)

    def bare():
        z = x.clone().requires_grad_()
        torch.autograd.grad(net(z)[rows, y].sum(), z)

    score = lambda z: net(z)[rows, y]
    yield Race("saliency, coursenet, 32 pictures", lambda: saliency(score, x),
               {"Captum": lambda: Saliency(net).attribute(x, target=y).amax(1)}, bare=bare,
               half=in_half(lambda: saliency(score, x)), agree=ranks)


def best_patches():
    """Beside the forward passes up to the layer: what is kept of them should cost next to nothing."""
    net, x = network("coursenet"), world(2000)
    for layer in ("relu1", "relu3", "relu5"):
        @torch.no_grad()
        def forwards(layer=layer):
            for part in x.split(32):
                activations(net, part, layer)
        ours = lambda layer=layer: top_patches(net, x, layer)
        yield Race(f"best patches of all channels at {layer}, 2,000 pictures", ours, bare=forwards)


def neighbours():
    from sklearn.neighbors import NearestNeighbors

    q, g = torch.randn(11_000, 512, generator=torch.Generator().manual_seed(0)).split([1000, 10_000])
    exact = torch.cdist(q.double(), g.double(), compute_mode="donot_use_mm_for_euclid_dist").topk(5, largest=False).indices
    ours = lambda: nearest_neighbors(q, g, 5).indices

    def learn():
        return torch.from_numpy(NearestNeighbors(n_neighbors=5, algorithm="brute").fit(g.numpy()).kneighbors(q.numpy())[1])

    def plain():
        return torch.cdist(q, g).topk(5, largest=False).indices

    def same(ours, theirs):     # ours as float64 has it; theirs may exchange neighbours that rounding can't tell apart
        assert torch.equal(ours, exact) and (theirs == exact).float().mean() > 0.999

    yield Race("neighbours of 1,000 in 10,000, 512 features", ours, {"scikit-learn": learn, "cdist and topk": plain},
               {"scikit-learn": 1.5}, bare=lambda: q @ g.T, same=same)


def tsnes():
    """As notebook 1 calls scikit-learn: on 50 principal components, with one thread."""
    from openTSNE import TSNE as OpenTSNE
    from sklearn.manifold import TSNE, trustworthiness

    pictures = (0.99 * world(2000) + 0.01 * torch.rand(2000, 3, 64, 64)).contiguous(**LAST)     # so that none comes twice
    world_codes = codes(network("coursenet"), pictures, "relu5")["relu5"]
    few = pca(world_codes, 50)(world_codes).numpy()

    def ours():
        with threadpool_limits(1):
            return TSNE(angle=0.7, max_iter=500, random_state=0).fit_transform(pca(world_codes, 50)(world_codes).numpy())

    def same(ours, theirs):     # the maps differ; ours must keep neighbours as well
        ours, theirs = (trustworthiness(few, found, n_neighbors=10) for found in (ours, theirs))
        assert ours > theirs - 0.01, (ours, theirs)
        return f"trustworthiness {theirs:.3f}, ours {ours:.3f}"

    peers = {"scikit-learn as it comes": lambda: TSNE(random_state=0).fit_transform(world_codes.numpy()),
             "openTSNE": lambda: OpenTSNE(random_state=0).fit(pca(world_codes, 50)(world_codes).numpy())}
    yield Race("t-SNE, 2,000 points of 3,072 features", ours, peers, {"scikit-learn as it comes": 1.3}, same=same)


RACES = [occlusions, saliencies, best_patches, neighbours, tsnes]
