"""Rows for notebook 1: occlusion, saliency, best patches, neighbours, t-SNE."""

import torch
from races.common import LAST, cat, in_half, network, ranks, score_of, there_and_back, world
from races.race import Race
from threadpoolctl import threadpool_limits

from helpers.activations import activations
from helpers.attribution import AT_ONCE, occlusion, saliency
from helpers.features import codes, nearest_neighbors, pca
from helpers.patches import top_patches


def occluded(name, size, window, title):
    """Captum by its default, one window at a time, and by other settings, of which one is the best."""
    from captum.attr import Occlusion

    net, x, score = network(name), cat(size), score_of(name, cat(size))
    theirs, pictures = Occlusion(score), (2 * size // window - 1) ** 2 + 1

    def ours():
        return occlusion(score, x, window=window, stride=window // 2)

    def captum(at_once):
        shape, strides = (3, window, window), (3, window // 2, window // 2)
        return lambda: theirs.attribute(x, shape, strides=strides, baselines=0.5, perturbations_per_eval=at_once).mean(1)

    @torch.no_grad()
    def bare():
        many = x.expand(min(16, AT_ONCE // x[0, 0].numel()), -1, -1, -1).contiguous(**LAST)
        for first in range(0, pictures, len(many)):
            net(many[:pictures - first])

    peers = {"Captum": captum(1), **{f"Captum, {n} at once": captum(n) for n in (4, 16, 64)}}
    # What weights drawn by chance answer says nothing of how bf16 agrees.
    return Race(f"occlusion, {title}, {size} px", ours, peers, {"Captum": 1.5}, bare, in_half(ours), agree=ranks if title == name else None)


def occlusions():
    yield occluded("coursenet", 64, 8, "coursenet")
    yield occluded("efficientnet-lite0", 224, 32, "efficientnet-lite0")
    yield occluded("vgg11", 224, 56, "VGG-11")


def saliencies():
    from captum.attr import Saliency

    net, x, y, rows = network("coursenet"), world(32), torch.arange(32) % 8 + 64, torch.arange(32)
    score = lambda z: net(z)[rows, y]
    ours = lambda: saliency(score, x)

    yield Race("saliency, coursenet, 32 pictures", ours, {"Captum": lambda: Saliency(net).attribute(x, target=y).amax(1)},
               bare=lambda: there_and_back(score, x), half=in_half(ours), agree=ranks)


def best_of(layer):
    """Beside the forward passes up to the layer: what is kept of them should cost next to nothing."""
    net, x = network("coursenet"), world(2000)

    @torch.no_grad()
    def forwards():
        for part in x.split(32):
            activations(net, part, layer)

    return Race(f"best patches of all channels at {layer}, 2,000 pictures", lambda: top_patches(net, x, layer), bare=forwards)


def best_patches():
    for layer in ("relu1", "relu3", "relu5"):
        yield best_of(layer)


def neighbours():
    """The ranking must be that of float64; FAISS and the others may exchange neighbours that rounding cannot tell apart."""
    import faiss
    from sklearn.neighbors import NearestNeighbors

    faiss.omp_set_num_threads(torch.get_num_threads())
    q, g = torch.randn(11_000, 512, generator=torch.Generator().manual_seed(0)).split([1000, 10_000])
    exact = torch.cdist(q.double(), g.double(), compute_mode="donot_use_mm_for_euclid_dist").topk(5, largest=False).indices

    def learn():
        return torch.from_numpy(NearestNeighbors(n_neighbors=5, algorithm="brute").fit(g.numpy()).kneighbors(q.numpy())[1])

    def plain():
        return torch.cdist(q, g).topk(5, largest=False).indices

    def indexed():
        index = faiss.IndexFlatL2(512)
        index.add(g.numpy())
        return torch.from_numpy(index.search(q.numpy(), 5)[1])

    def same(ours, theirs):
        assert torch.equal(ours, exact) and (theirs == exact).float().mean() > 0.999

    yield Race("neighbours of 1,000 in 10,000, 512 features", lambda: nearest_neighbors(q, g, 5).indices,
               {"scikit-learn": learn, "cdist and topk": plain, "FAISS, flat": indexed}, {"scikit-learn": 1.5}, lambda: q @ g.T, same=same)


def tsnes():
    """As notebook 1 calls scikit-learn for its scenes: on 50 principal components, in 500 steps, with one thread."""
    from openTSNE import TSNE as OpenTSNE
    from sklearn.manifold import TSNE, trustworthiness

    pictures = torch.cat([world(1504), world(496).flip(3)]).contiguous(**LAST)      # the scenes, and some of them mirrored
    features, cores = codes(network("coursenet"), pictures, "relu5")["relu5"], torch.get_num_threads()
    few = lambda: pca(features, 50)(features).numpy()

    def ours():
        with threadpool_limits(1):
            return TSNE(angle=0.7, max_iter=500, random_state=0).fit_transform(few())

    def same(ours, theirs):     # the maps differ; ours must keep neighbours as well
        ours, theirs = (trustworthiness(features.numpy(), found, n_neighbors=10) for found in (ours, theirs))
        assert ours > theirs - 0.01, (ours, theirs)
        return f"trustworthiness {theirs:.3f}, ours {ours:.3f}"

    short = {"theta": 0.7, "n_iter": 250, "early_exaggeration_iter": 250, "n_jobs": cores, "negative_gradient_method": "bh"}
    peers = {"scikit-learn as it comes": lambda: TSNE(random_state=0).fit_transform(features.numpy()),
             "scikit-learn, 50 components": lambda: TSNE(random_state=0).fit_transform(few()),
             "openTSNE, 50 components": lambda: OpenTSNE(random_state=0, n_jobs=cores).fit(few()),
             "openTSNE, 500 steps, angle 0.7": lambda: OpenTSNE(random_state=0, **short).fit(few())}
    yield Race("t-SNE, 2,000 points of 3,072 features", ours, peers, {"scikit-learn as it comes": 1.3}, same=same)


RACES = [occlusions, saliencies, best_patches, neighbours, tsnes]
