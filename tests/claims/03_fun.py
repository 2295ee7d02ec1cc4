# What 03_fun.ipynb claims. A margin is at most half the distance to the baseline.

# 3.1 DeepDream
assert max(ratios, key=ratios.get) == "no jitter" and ratios["all tricks"] > 2
assert ratios["gradient not normalized"] < ratios["all tricks"]

# 3.3 Texture from Gram matrices
assert ((together @ together.T / N - G).norm() / G.norm()) < 1e-5
assert 0.15 < ((apart @ apart.T / N - G).norm() / G.norm()) < 0.5
for judge, losses_by_texture in zip(makers, measured.values()):
    assert min(losses_by_texture) == losses_by_texture[list(makers).index(judge)]
    assert losses_by_texture[-1] == max(losses_by_texture)

# 3.5 Fast neural style transfer
untouched, fast, slow = results.values()
assert slow[1] < fast[1] < 0.5 * untouched[1]
assert slow[2] > 50 * fast[2]

# 3.6 Instance norm: how much the picture changes in fog
differences = {name: (net(clear) - net(fog)).abs().mean().item()
               for name, net in (("instance", painter), ("batch", batch_painter))}
assert differences["instance"] < 0.2 * differences["batch"]
assert means["instance norm"][-1] < means["batch norm"][-1]

# 3.7 Many styles in one network
assert own == 1600 and len(many.styles) == 9

# 3.8 Shape or texture?
weak, strong = intervals(3), intervals(30)
assert all(0.715 < value < 0.885 for value in weak[0])
assert [round(100 * value) for value in strong[0]] == [14, 53, 60]
assert strong[2][0] < strong[1][1] and strong[2][0] < strong[1][2] and strong[2][1] > strong[1][2]

# 3.9 On a GPU
assert errors[0] < 1e-5 < errors[1] < 1e-2 < 0.3 < errors[2]
assert count_synchronizations(reading) == 10 + count_synchronizations(not_reading)
