# What 02_gradients.ipynb claims. A margin is at most half the distance to the baseline.
from scipy.stats import fisher_exact


def close(a, b, margin):
    return abs(float(a) - b) < margin


# 2.1 Segmentation without supervision: the spot at the center, coursenet, robust, and their product
near, corner = (dict(zip(starts, values)) for values in places.values())
assert close(near["center"], 0.84, 0.01) and close(corner["center"], 0.41, 0.01)
assert close(corner["robust"], 0.64, 0.01) and near["center"] == max(list(near.values())[:4])
assert near["coursenet"] < near["random network"] and corner["coursenet"] < corner["random network"]
product = iou_table["object in the center, unknown pixels foreground"]["robust times center"]["IoU"]
_, low, high = product["better than center"]
assert low < 0 < high and corner["robust times center"] > max(corner["center"], corner["robust"])
assert close(mean_iou("center", "background")[0], 0.55, 0.01)

# 2.2 Guided backprop: none, fc8, fc6, conv5, conv4, conv3, conv1
assert close(kept["guided"][2], 0.91, 0.05) and close(kept["guided"][4], 0.68, 0.05)
assert close(kept["plain"][2], 0.32, 0.05) and abs(kept["Grad-CAM"][1]) < 0.2
x = album["dahlia"].load(224)
upper = ["fc", "head", *[f"block{k}" for k in range(16, 10, -1)]]
whole, without = (maps_of(net, x, effnet(x).argmax(1), "head_relu")
                  for net in (effnet, permute_layers(effnet, upper)))
left = {name: rank_correlation(whole[name], without[name]).item() for name in whole}
assert close(left["guided"], 0.95, 0.03) and close(left["plain"], 0.28, 0.1)
assert all(value > max(floor.values()) for value in kept["guided"][:-1])

# 2.3 Gradient ascent
assert top_classes(effnet, plain_ascent, k=1)[0][0][1] > 0.95
by_row = dict(zip(progression["rows"], scores))
assert max(by_row, key=by_row.get) == "no regularizer"
assert min(by_row, key=by_row.get) == "random crops"
correct = {name: round(32 * row["accuracy"]) for name, row in tuned.items()}
none = correct["no regularizer"]
p = {name: fisher_exact([[n, 32 - n], [none, 32 - none]]).pvalue for name, n in correct.items()}
assert close(none / 32, 0.33, 0.05) and correct["Fourier, jitter"] == 27
assert p["Fourier, jitter"] < 0.001 and correct["Fourier, jitter"] == max(correct.values())
assert close(p["MACO, jitter"], 0.01, 0.005) and close(p["total variation"], 0.02, 0.005)
assert all(p[name] > 0.1 for name in p if name not in list(p)[-2:] + ["total variation"])

# 2.4 Adversarial examples: as it is, 8 bits, JPEG, resized, shifted
left = survived["attack"]
assert min(left[:2]) > 0.85 and max(left[2], left[4]) < 0.1
assert survived["larger attack"][3] > 0.9 and survived["larger attack"][2] < 0.1
assert survived["larger attack"][4] + 0.2 < survived["EOT"][4] > 0.9
norms = {name: (y - album["cat"].load(224)).norm() for name, y in attacked.items()}
assert close(norms["larger attack"] / norms["EOT"], 1, 0.1)
at_one, at_two = (robustness["epsilons"]["l2"].index(epsilon) for epsilon in (1.0, 2.0))
under_attack = accuracy("l2", "PGD")
assert [round(100 * under_attack[f"{name}, PGD"][at_one]) for name in short.values()] == [3, 77]
assert round(100 * under_attack["robust, PGD"][at_two]) == 19
assert min(values[at_two] for values in accuracy("l2", "random").values()) > 0.95
assert 0.3 < survived["EOT"][2] < 0.6                      # 43%
assert transfer["coursenet"][0] > 0.9 and close(transfer["robust"][0], 0.04, 0.02)
assert 0 < transfer["robust"][1] - transfer["coursenet"][1] < 0.08 < transfer["coursenet"][1]
assert 3 < float((changed["robust"] - cup).norm() / (changed["coursenet"] - cup).norm()) < 5
assert predict(coursenet, cup)[:-4] == predict(robust, cup)[:-4] == "espresso"

# 2.5 Feature inversion
assert reached["block1"] < 0.005 and max(reached.values()) < 0.02
assert min(changes["in gray"] + changes["colors exchanged"]) > 0.1
shifted, in_gray = changes["shifted by 4 pixels"], changes["in gray"]
assert close(shifted[0] / in_gray[0], 3, 0.7) and close(in_gray[-1] / shifted[-1], 6, 1.5)
assert (paths["coursenet"] > paths["robust"]).all()
assert paths["coursenet"].mean(0).min() > 0.95 * one_color.square().mean().sqrt()
for name, value in (("coursenet", 0.22), ("robust", 0.013)):
    net = {"coursenet": coursenet, "robust": robust}[name]
    noisy = photographs + 0.05 * torch.randn(photographs.shape, device=device,
                                             generator=torch.Generator(device).manual_seed(0))
    error = relative_feature_error(net, noisy.clamp(0, 1), photographs, "relu5")
    assert close(error.mean(), value, 0.3 * value), (name, error)

# 2.6 On a GPU
assert close(memory["whole network"], memory["trainable weights"], 0.1)
assert memory["up to block11"] > 0.8 * memory["whole network"] and memory["without a gradient"] == 0
