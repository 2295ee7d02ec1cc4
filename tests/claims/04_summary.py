# What 04_summary.ipynb claims. A margin is at most half the distance to the baseline.
from scipy.stats import ttest_1samp

from helpers.exercises.detective import with_random_cue
from helpers.features import Probe


def close(a, b, margin):
    return abs(float(a) - b) < margin


# 4.2 All methods side by side
assert abs(sums[0] - difference) > 0.3 * difference
assert all(abs(value - difference) < 0.1 * difference for value in sums[4:])
fur = album["cat"].load(224).mean(1).flatten()
by_start = dict(zip(starts, path_maps))
brightness = {name: torch.corrcoef(torch.stack([fur, m.sum(1).abs().flatten()]))[0, 1].item()
              for name, m in by_start.items()}
assert brightness["from black"] > 0.1 and brightness["from white"] < -0.1

# 4.3 The benchmark
whole, plain_color, without = accuracy["coursenet"][0].tolist()
assert whole > plain_color > 0.7 and without < 0.3 and accuracy["robust"][0][2] < 0.4
for values, baseline in measured.values():      # each is the strongest of its measure
    assert values[6:].mean(1).argmax() == names[6:].index(baseline)
better = {name: ttest_1samp(values.T, 0) for name, values in differences.items()}
results_of = [(test.pvalue[k], name, names[k], test.statistic[k] > 0)
              for name, test in better.items() for k in range(6)]
significant = []
for rank, (p, measure, method, higher) in enumerate(sorted(results_of)):
    if p > 0.05 / (18 - rank):          # Holm 1979
        break
    significant.append((measure.split()[0], method, bool(higher)))
assert [row[:2] for row in significant if row[2]] == [("deletion", "integrated gradients")]
assert better["deletion − random network"].pvalue[1] < 0.05     # SmoothGrad, without correction
assert not right.any()
pictures_of, kinds_of = world.images.split(32), (world.labels + 64).split(32)
guided = torch.cat([METHODS["guided backprop"](coursenet, x, k)
                    for x, k in zip(pictures_of, kinds_of)])
pairs = torch.stack([pointing_game(guided, world.masks),
                     pointing_game(color_contrast(world.images), world.masks)])
gap = pairs[0] - pairs[1]
assert [round(100 * value) for value in pairs.mean(1).tolist()] == [93, 90]
assert close(gap.mean(), 0.029, 0.001) and close(bootstrap_ci(gap)[0], 0.010, 0.002)
assert close(bootstrap_ci(gap)[1], 0.048, 0.002)
intact, forgotten = before.mean(1), after.mean(1)
assert close(forgotten[1] / intact[1], 2 / 3, 0.1)
assert forgotten[2] > intact[2] - 0.1 and forgotten[0] < 0.5 * intact[0]

photographs, scenes_table = tables["photographs"], tables["benchmark"]["coursenet"]["methods"]
for name in list(METHODS):
    for net_name in ("coursenet", "coursenet-robust", "efficientnet-lite0"):
        assert photographs[net_name][name]["pointing game"]["better than center"][1] <= 0
    low = scenes_table[name]["pointing game"]["better than center"][1]
    assert (low > 0) == (name in ("guided backprop", "integrated gradients"))
random_hits = photographs["coursenet"]["random"]["pointing game"]["mean"]
assert photographs["photographs"] == 128 and close(random_hits, 0.57, 0.01)
table = {column: dict(zip(table_rows, values)) for column, values in zip(columns, means.T)}
for_deletion, for_pointing = (table["efficientnet-lite0", name] for name in measures[1::-1])
assert max(for_deletion, key=for_deletion.get) == "center" and for_pointing["Grad-CAM"] > 0.85
assert min(list(METHODS), key=table["coursenet", "pointing game"].get) == "Grad-CAM"
ours = table["coursenet", "deletion"]
assert ours["ground-truth mask"] < ours["saliency, random network"]

# 4.4 Why is the network wrong?
swapped = small_cat.flip(1)
assert close(coursenet(swapped).softmax(1)[0, tabby], 0.02, 0.01)
assert close((swapped - small_cat).norm() / (gray_cat - small_cat).norm(), 2, 0.2)
assert coursenet(small_cat).argmax(1) == pretzel and "tabby" in coursenet.classes
assert faded[-1].argmax() == tabby and noisy[:, tabby].max() < 0.1
assert "cat" in top_classes(effnet, album["cat"].load(224), 1)[0][0][0]
in_color, in_gray = called_tabby(["cat"], True), called_tabby(["cat"], False)
assert in_color[0] == 0 and in_gray[0] > 1 / 3
assert close(called_tabby(others, False)[0], 0.01, 0.01)
cat_crops = sliding_crops(album["cat"].load(), [160, 200, 240], step=0.25)
assert not (robust(cat_crops.mean(1, keepdim=True).expand_as(cat_crops)).argmax(1) == tabby).any()

# 4.5 The detective
misled = {name: probe.accuracy(paste_tag(plain, (kinds + 1) % 8), kinds)
          for name, probe in probes.items()}
assert close(misled["A"], 0.10, 0.01) and close(misled["B"], 0.98, 0.01)
misled = {name: probe.accuracy(tint(plain, (kinds + 1) % 8), kinds)
          for name, probe in cases.items()}
assert close(misled["D"], 0.18, 0.01) and close(misled["C"], 0.96, 0.01)
of = {name: average(probe, tagged[:12]) for name, probe in probes.items()}
in_corner = {name: [(m[-4:, -4:].mean() > 3 * m.clamp(min=0).mean()).item() for m in maps]
             for name, maps in of.items()}
assert in_corner == {"A": [True, True, True], "B": [False, True, False]}
same_layer = Probe(coursenet, with_random_cue(train), train.labels, "relu4")
for tags in (kinds, (kinds + 1) % 8):
    assert close(same_layer.accuracy(paste_tag(plain, tags), kinds), 0.675, 0.015)
