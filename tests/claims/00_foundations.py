# What 00_foundations.ipynb claims. A margin is at most half the distance to the baseline.
attacked = [float(accuracy(net)[:, 1].mean()) for net in (coursenet, robust)]
assert abs(attacked[0] - 0.55) < 0.12, attacked
assert abs(attacked[1] - 0.88) < 0.12, attacked
contrast = float(pointing_game(baselines["color contrast"], test.masks).float().mean())
assert abs(contrast - 0.98) < 0.12, contrast
