# What 01_activations.ipynb claims. A margin is at most half the distance to the baseline.
import re
from pathlib import Path

from helpers.metrics import bootstrap_ci

CARD = Path("../data/README.md").read_text(encoding="utf-8")


def figures(name):      # of coursenet and of robust, from the model card
    row = re.search(rf"\| {name} \| ([\d.]+) \| ([\d.]+) \|", CARD)
    return [float(value) for value in row.groups()]


def prediction(net, name, size):
    return top_classes(net, album[name].load(size), k=1)[0][0]


# 1.1 An image, a layer, a score
assert [round(100 * value) for value in figures("photographs, top-1")] == [67, 58]
assert [round(100 * value) for value in figures("shipped scenes, top-1")] == [98, 97]
assert prediction(coursenet, "cat", 64)[0] == "pretzel"
right = {"cat": "Egyptian cat", "espresso": "espresso", "cameraman": "tripod",
         "hopper": "military uniform"}
assert all(prediction(effnet, name, 224)[0] == label for name, label in right.items())

# 1.2 First-layer filters
assert cosine.median() > before.median() + 0.2

# 1.4 Nearest neighbors
assert knn["coursenet"][-1] > 0.95 and knn["coursenet"][0] < 0.35
assert all(a < b for a, b in zip(knn["coursenet"], knn["coursenet"][1:]))
assert max(knn_baselines["random network"]) < 0.35 and knn_baselines["pixels"] < 0.35
assert all(abs(a - b) < 0.1 for a, b in zip(*knn.values()))

# 1.5 PCA and t-SNE: the layer's accuracy, that of PCA, that of t-SNE
assert kept[0] - kept[2] < 0.15 and kept[1] < 0.4 * kept[0]
first = [knn_accuracy(space("relu1"), test.attributes[name]) for name in ("weather", "shape")]
assert abs(first[0] - 0.74) < 0.1 and abs(first[1] - 0.22) < 0.05

# 1.6 Visualizing activations
assert auc[200] > 0.85 and abs(auc.median() - 0.5) < 0.1
assert 0 < (auc > auc[200]).sum() < 60
people = torch.cat([album["hopper"].load(224), album["cameraman"].load(224)])
channel = activations(effnet, people, "block11.expand_relu")[:, 200].cpu()
faces = torch.zeros(2, 14, 14)
faces[0, 2:7, 4:10] = faces[1, 2:5, 4:7] = 1
assert abs(roc_auc_score(faces.flatten(), channel.flatten()) - 0.66) < 0.05
assert probes["object"][-1] > 0.95 and max(probe_baselines["object, random network"]) < 0.45
assert probe_baselines["light, random network"][0] > 0.5
assert abs(probes["light"][-1] - 0.29) < 0.05

# 1.8 Saliency via occlusion: the legs are the lower half of the photograph, right of the man
for drop in drops.values():
    row, column = divmod(int(drop.argmax()), 224)
    assert row > 120 and 90 < column < 190, (row, column)
x = album["cat"].load(224)
score = log_probability(x)
blurred = gaussian_blur(x, 16).clamp(0, 1)
assert occlusion(score, x, window=64, stride=32, baseline=blurred, batch=4).max() < 0

# 1.9 Saliency via backprop
assert abs(predicted / measured - 1) < 0.2
assert of_score.max() > 2 * of_probability.max()

# 1.10 Which map can you trust?
assert max(hits.mean() for hits in pointing[0].values()) < pointing[1]["image center"].mean()
assert pointing[1]["color contrast"].mean() > 0.9
better = {}
for name, values in deleted[0].items():
    better[name] = bootstrap_ci(deleted[1]["random network"] - values)[0] > 0
assert [name for name in better if better[name]] == ["SmoothGrad"]
