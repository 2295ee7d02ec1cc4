"""Wrong answers to the exercises of the notebooks, and a part of the hint that each must get."""

# Beginnings of answers; where one has braces, they take the part that is wrong.
DISTANCES = "return torch.cdist(Q, G)."
GRADIENT = ("x = x.detach().requires_grad_(); gradient, = torch.autograd.grad(score(x).sum(), x)\n"
            "    return ")
EACH = """each = []
    for e in noise:
        y = (x + e).detach().requires_grad_(); each += torch.autograd.grad(score(y).sum(), y)
    each = torch.cat(each)
    return """
PARTS = """each = []
    for e in noise.split(batch):
        y = (x + e).detach().requires_grad_(); each += torch.autograd.grad(score(y).sum(), y)
    return """
TRIMAP = "high, low = (m > m.quantile(0.95)).int(), (m <= m.quantile(0.3)).int(); return "
ASCENT = """for shift in shifts:
        x = x.detach().requires_grad_()
        objective = score(x.roll(shift, (2, 3))) - l2 * (x - 0.5).square().sum((1, 2, 3))
        g, = torch.autograd.grad(objective.sum(), x); n = g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        x = ({}).clamp(0, 1)
    return x.detach()"""
ATTACK = """for step in range(100):
        x = x.detach().requires_grad_(); log_p = net(x).log_softmax(1)[0, c]
        if log_p.exp() > {}: break
        g, = torch.autograd.grad(log_p, x); x = ({}).clamp(0, 1)
    return x.detach()"""
INVERSION = """dx, dy = y.diff(dim=3) ** 2, y.diff(dim=2) ** 2
    tv = dx.sum((1, 2, 3)) + dy.sum((1, 2, 3)); e = ((a - target) ** 2).sum((1, 2, 3)){}
    return """
RELATIVE = INVERSION.format(" / (target ** 2).sum()")
FIELD = ("size, stride = 0, 1\n    for k, s in windows: stride = {}; size += (k - 1) * stride; "
         "stride = {}\n    return ")
DROPS = ("drops = occlusion(score, x, window=window, stride=window)[0, ::window, ::window]\n"
         "    return ")
MOMENTS = ("mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, "
           "correction={})\n    return ")
OCTAVE = """for _ in range(steps):
        x = x.detach().requires_grad_(); g, = torch.autograd.grad(energy(x).sum(), x)
        x = (x + step_size * {}).clamp(0, 1)
    return x.detach()"""
RMS = "g / g.square().mean().sqrt()"
OCTAVES = """detail = torch.zeros_like(photo)
    for size in sizes:
        small = resize(photo, size); larger = F.interpolate(detail, size, mode="bicubic")
        x = octave({}); detail = {}
    return x"""
SUM = "(small + larger).clamp(0, 1)"
RIGHT = OCTAVES.format(SUM, "x - small")
LAYERS = """each = []
    for layer, G in grams.items():
        d = gram_matrix(features[layer]) - G; each.append({})
    return torch.stack(each)"""
ERROR = "(d ** 2).sum((1, 2)) / (G ** 2).sum()"
TRANSFER = """content, style = content_loss(a, target), style_loss(features, grams)
    return """
STEP = """y = net(x); value = loss(y, x).mean()
    optimizer.zero_grad(); value.backward(); optimizer.step()
    return value.item()"""
SQUARED = "d = source_windows - window; total = lambda d: d.sum((1, 2, 3))\n    return "
GRAM = 'g = torch.einsum("bchw,bdhw->bcd", f, f); n = f[0, 0].numel()\n    return '
CAM = """kept = {{}}
    def forward(module, inputs, output):
        kept['a'] = output.detach()
        output.register_hook(lambda g: kept.update(g=g))
    handle = module.register_forward_hook(forward)
    z = x.detach().requires_grad_(); torch.autograd.grad(score(z).sum(), z); {1}
    a, g = kept['a'], kept['g']
    cam = ({0}).sum(1, keepdim=True)
    return F.interpolate(cam{2}, x.shape[2:], mode='bilinear')[:, 0]"""
STEPS = """y = x
    for _ in range(steps):
        y = y.detach().requires_grad_(); g, = torch.autograd.grad(score(y).sum(), y)
        g = g.sign() if norm == 'linf' else g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        y = (y {} epsilon / steps * g).clamp(0, 1)
    return y.detach()"""
PATH = """mean = 0
    for k in range({0}):
        y = (start + (k + 0.5) / {0} * (x - start)).detach().requires_grad_()
        mean = mean + torch.autograd.grad(score(y).sum(), y)[0] / {0}
    return """
STATISTICS = """each = []
    for name, t in targets.items():
        f, t = features[name], torch.stack([t[0], {1}], 1)
        d = torch.stack([f.mean((2, 3)), {0}], 1) - t; each.append((d ** 2).sum((1, 2)) / {2})
    return torch.stack(each).{3}"""
STD = "f.std((2, 3), correction=0)"
VARIANCE = "f.var((2, 3), correction=0)"
NORM = "(t ** 2).sum((1, 2))"
CUTS = ("h, w = f.shape[2:]; n = f[0, 0].numel()\n    here = f[..., :h - dy, :w - dx].flatten(2)\n"
        "    there = f[..., dy:, dx:].flatten(2)\n    return ")
PROBE = """from helpers.features import linear_probe
    W, B = linear_probe(features.movedim(1, 3).flatten(0, 2), masks.flatten())
    w, b = W[:, 1] - W[:, 0], B[1] - B[0]
    return """
ACCENTUATION = """{}target = features(x)
    e, n = (features(y) - target).square().sum((1, 2, 3)), target.square().sum()
    return """
GUIDED = ("g = (mask * f).flatten(2); squares = mask.square().sum((2, 3))[..., None]\n"
          "    return ")
TRAINED = """from helpers.style import TransformNet
    net, state = TransformNet(['new']).to(crops.device), painter.state_dict()
    for name, p in state.items():
        if name.endswith(('scale', 'shift')): state[name] = p.mean(0, keepdim=True)
    net.load_state_dict(state)
    """
MEAN = "g.mean((2, 3), keepdim=True) * a"
REMOVE = "handle.remove()"

WRONG = {
    # ---- 01 ----
    "my_neighbors": [
        ("return torch.cdist(Q, G).topk(k).indices", "farthest"),
        ("return (Q @ G.T).topk(k).indices", "norms of the gallery"),
        (DISTANCES + "topk(k, largest=False).indices.T", "exchanged"),
        (DISTANCES + "topk(k, largest=False).values", "return the indices"),
    ],
    "my_field": [
        ("return 1 + sum(k - 1 for k, s in windows)", "strides are missing"),
        (FIELD.format("stride * s", "stride") + "1 + size", "not to its window"),
        (FIELD.format("stride", "stride * s") + "size", "one pixel is missing"),
    ],
    "my_occlusion": [
        (DROPS + "-drops", "the sign"),
        (DROPS + "score(x) - drops", "scores of the occluded images"),
        (DROPS + "drops.T", "exchanged"),
    ],
    "my_saliency": [
        (GRADIENT + "gradient", "absolute value, and the maximum"),
        (GRADIENT + "gradient.abs()", "dimension 1"),
        (GRADIENT + "gradient.amax(1)", "the sign"),
        (GRADIENT + "gradient.amax(1).abs()", "not after it"),
        (GRADIENT + "gradient.abs().mean(1)", "mean over the colors"),
    ],
    "my_smooth_grad": [
        (EACH + "each.abs().mean(0, keepdim=True).amax(1)", "average the gradients first"),
        (EACH + "each.abs().amax(1).mean(0, keepdim=True)", "average the gradients first"),
        (EACH + "each.sum(0, keepdim=True).abs().amax(1)", "divide by their number"),
        (EACH + "each.mean(0, keepdim=True).amax(1)", "at the end is missing"),
        (GRADIENT + "gradient.abs().amax(1)", "add the noise"),
    ],
    # ---- 02 ----
    "my_trimap": [
        (TRIMAP + "low - high", "signs are exchanged"),
        (TRIMAP + "high", "the background, -1, is missing"),
        (TRIMAP + "2 * high - 1", "a pixel is unknown"),
        ("return (m > 0.95 * m.max()).int() - (m <= 0.3 * m.max()).int()", "not fractions"),
        ("return (m > m.quantile(0.7)).int() - (m <= m.quantile(0.05)).int()", "30% are -1"),
    ],
    "GuidedReLU": [
        ("return R * (f > 0)", "the plain rule"),
        ("return R.clamp(min=0)", "the deconvnet's rule"),
        ("return R.clamp(max=0) * (f > 0)", "the sign"),
        ("return (R > 0) * (f > 0)", "multiply R by it"),
        ("R * (f > 0) * (R > 0)", "is a `return` missing?"),
    ],
    "my_gradient_ascent": [
        (ASCENT.format("x - lr * g / n"), "this descends"),
        (ASCENT.format("x + lr * g"), "divide each gradient by its norm"),
        (ASCENT.format("x + lr * g / g.norm()"), "a norm of its own"),
        (ASCENT.format("x + lr * g.sign()"), "this is the sign"),
        (ASCENT.format("x + lr * g / n").replace(".clamp(0, 1)", ""), "clamp to [0, 1]"),
        (ASCENT.format("x + lr * g / n").replace("l2 *", "0 *"), "the penalty is missing"),
        (ASCENT.format("x + lr * g / n").replace("- l2", "+ l2"), "the sign of the penalty"),
        (ASCENT.format("x + lr * g / n").replace("x - 0.5", "x"), "pulls to black"),
        (ASCENT.format("x + lr * g / n").replace("x.roll(shift, (2, 3))", "x"), "shifts are"),
    ],
    "my_attack": [
        (ATTACK.format("2", "x + lr * g / g.norm()"), "stop as soon as"),
        (ATTACK.format("0.9", "x - lr * g / g.norm()"), "less probable"),
        (ATTACK.format("0.9", "x + lr * g"), "divide each gradient by its norm"),
        (ATTACK.format("0.9", "x + lr * g.sign()"), "this is the sign"),
        (ATTACK.format("0.9", "x + lr * g / g.norm()").replace(".clamp(0, 1)", ""), "clamp to"),
    ],
    "my_inversion_loss": [
        (INVERSION.format("") + "e + weight * tv", "divide the squared error"),
        (INVERSION.format("") + "e / (a ** 2).sum((1, 2, 3)) + weight * tv", "not of a"),
        (RELATIVE + "e.sqrt() + weight * tv", "not squared"),
        (RELATIVE + "e", "it is a sum"),
        (RELATIVE + "e + weight * (dx.mean((1, 2, 3)) + dy.mean((1, 2, 3)))", "it is a sum"),
        (RELATIVE + "e + tv", "the weight of"),
        (RELATIVE + "e + weight * dx.sum((1, 2, 3))", "to the pixel below"),
        (RELATIVE + "e + weight * dy.sum((1, 2, 3))", "on the right"),
        (RELATIVE.replace(") ** 2, y", ").abs(), y").replace("dim=2) ** 2", "dim=2).abs()")
         + "e + weight * tv", "square the differences"),
        (RELATIVE + "(e + weight * tv).sum()", "whole batch"),
        (RELATIVE + "(e + weight * tv).detach()", "the gradient is cut"),
    ],
    "my_batched_smooth_grad": [
        (PARTS + "torch.stack([g.mean(0) for g in each]).mean(0)[None].abs().amax(1)", "smaller"),
        (PARTS + "each[0].mean(0)[None].abs().amax(1)", "smaller part is missing"),
        (PARTS + "torch.cat(each).sum(0)[None].abs().amax(1)", "divide by their number"),
        (PARTS + "torch.cat(each).abs().mean(0)[None].amax(1)", "average the gradients first"),
        (PARTS.replace("split(batch)", "split(1)") + "torch.cat(each).mean(0)[None].abs().amax(1)",
         "copies at once: 1"),
        (PARTS.replace("split(batch)", "split(99)") + "torch.cat(each).mean(0)[None].abs().amax(1)",
         "split the noise"),
    ],
    # ---- 03 ----
    "my_octave": [
        (OCTAVE.format("-" + RMS), "this descends"),
        (OCTAVE.format("g"), "divide each gradient"),
        (OCTAVE.format("g / g.norm()"), "the root of the sum"),
        (OCTAVE.format("g / g.abs().mean()"), "the mean of |gradient|"),
        (OCTAVE.format("g.sign()"), "this is the sign"),
        (OCTAVE.format(RMS).replace(".clamp(0, 1)", ""), "clamp to"),
    ],
    "my_octaves": [
        ("x = photo\n    for size in sizes: x = octave(resize(x, size))\n    return x", "blurs it"),
        (OCTAVES.format("small", "x - small"), "detail of the smaller sizes is lost"),
        (OCTAVES.format(SUM, "x - (small + larger)"), "of one octave"),
        (OCTAVES.format(SUM, "larger + x - small"), "replace it"),
        (OCTAVES.format("(small + resize(detail, size)).clamp(0, 1)", "x - small"), "negative"),
        (OCTAVES.format("small + larger", "x - small"), "clamp the sum"),
        (RIGHT.replace("in sizes", "in sizes[:-1]"), "the last size is missing"),
        (RIGHT.replace("    return", "        return"), "after the loop"),
        (RIGHT.replace("return x", "return detail"), "return the image"),
    ],
    "my_distance": [
        (SQUARED + "total(d ** 2 * weight)", "few known pixels"),
        (SQUARED + "total(d ** 2 * weight) / (3 * weight.sum())", "not divided by 3"),
        (SQUARED + "total(d ** 2) / weight.sum()", "the weights are missing"),
        (SQUARED + "total(d.abs() * weight) / weight.sum()", "square the differences"),
        (SQUARED + "(d ** 2 * weight).mean((1, 2, 3))", "a mean counts"),
        (SQUARED + "(total(d ** 2 * weight) / weight.sum()).sqrt()", "the square root"),
    ],
    "my_gram": [
        (GRAM + "g", "the sum over the positions"),
        (GRAM + "g / f[0].numel()", "by the channels, too"),
        ("f = f.flatten(2); return f.mT @ f / f.shape[2]", "compares positions"),
        ("f = f.permute(0, 2, 3, 1).reshape(len(f), f.shape[1], -1); return f @ f.mT / f.shape[2]",
         "mixed channels"),
        (GRAM + "torch.stack([g.flatten(1).cov(correction=0) for g in f])", "covariance"),
    ],
    "my_instance_norm": [
        ("return F.batch_norm(x, None, None, training=True)", "batch norm"),
        ("return F.layer_norm(x, x.shape[1:])", "layer norm"),
        (MOMENTS.format(0) + "x - mean", "the variance is unchanged"),
        (MOMENTS.format(0) + "(x - mean) / (variance + 1e-5)", "root of the variance"),
        (MOMENTS.format(1) + "(x - mean) / (variance + 1e-5).sqrt()", "correction=0"),
    ],
    "my_style_loss": [
        (LAYERS.format("(d ** 2).sum((1, 2))") + ".mean(0)", "or one layer decides"),
        (LAYERS.format("(d ** 2).mean((1, 2))") + ".mean(0)", "the mean of the squares"),
        (LAYERS.format(ERROR) + ".sum(0)", "the sum over the layers"),
        (LAYERS.format(ERROR) + "[-1]", "the last layer alone"),
        (LAYERS.format(f"({ERROR}) ** 0.5") + ".mean(0)", "this is a root"),
        (LAYERS.format(ERROR) + ".mean()", "whole batch"),
        (LAYERS.format(ERROR) + ".mean(0).detach()", "the gradient is cut"),
    ],
    "my_transfer_loss": [
        (TRANSFER + "content + style", "weight of the style loss is missing"),
        (TRANSFER + "weight * content + style", "not to the content"),
        (TRANSFER + "weight * (content + style)", "alone"),
        (TRANSFER + "content", "the style loss is missing"),
        (TRANSFER + "weight * style", "the content loss is missing"),
        (TRANSFER + "(content + weight * style).mean()", "whole batch"),
        (TRANSFER + "(content + weight * style).detach()", "the gradient is cut"),
    ],
    "my_training_step": [
        (STEP.replace("optimizer.zero_grad(); ", ""), "gradients add up"),
        (STEP.replace("optimizer.step()", ""), "the parameters stay"),
        (STEP.replace("value.backward(); ", ""), "the parameters stay"),
        (STEP.replace("optimizer.step()", "optimizer.zero_grad(); optimizer.step()"), "stay"),
        (STEP.replace("mean()", "sum()"), "take the mean"),
        (STEP.replace("loss(y, x)", "loss(x, x)"), "what of net(x)?"),
        (STEP.replace("loss(y, x)", "loss(x, y)"), "exchanged"),
        (STEP.replace("return value.item()", ""), "is a `return` missing?"),
    ],
    # ---- 04 ----
    "case": [
        ('"A"', "two parts"),
        ("0.08", "two parts"),
        ('"C", 0.08', "two parts"),
        ('"B", 0.96', "that one is honest"),
        ('"A", probes["A"].accuracy(plain, kinds)', "not proved"),
        ('"A", 8.3', "at most 1"),
    ],
    "second": [
        ('"D"', "two parts"),
        ("0.2", "two parts"),
        ('"C", 0.95', "that one is honest"),
        ('"D", cases["D"].accuracy(plain, kinds)', "not proved"),
        ('"D", cases["D"].accuracy(tint(plain, kinds), kinds)', "not proved"),
    ],
    # ---- 05 ----
    "my_map": [
        ("return torch.randn(len(features), 2)", "better than random points"),
        ("return features[:, :2]", "better than PCA"),
        ("return torch.zeros(len(features), 2)", "at the same position"),
        ("return features[:, 0]", "a point for each image"),
        ("return features[:, :2] / 0", "NaN or infinite"),
    ],
    "my_position_probe": [
        ("return features.mean((0, 2, 3))", "return two things"),
        ("return features[0, 0], features.new_zeros(())", "a weight for each channel"),
        ("return features.new_zeros(features.shape[1]), torch.zeros(3)", "one number"),
        (PROBE + "w, b - 99", "everything is background"),
        (PROBE + "-w, -b", "the sign is exchanged"),
        (PROBE + "w, b + 99", "the mean IoU is"),
    ],
    "my_occluder": [
        ("return x[:, 0] * 0", "expected torch.bool"),
        ("return x[:, 0] > 2", "no prediction changes"),
        ("return x > 0.5", "a mask for each image"),
    ],
    "my_grad_cam": [
        (CAM.format(MEAN, REMOVE, ""), "negative evidence"),
        (CAM.format("g * a", REMOVE, ".relu()"), "HiResCAM"),
        (CAM.format("a", REMOVE, ".relu()"), "gradient is missing"),
        (CAM.format("g.amax((2, 3), keepdim=True) * a", REMOVE, ".relu()"), "not the maximum"),
        (CAM.format(MEAN, "pass", ".relu()"), "still there"),
    ],
    "my_pgd": [
        ("return x", "nothing has changed"),
        ("return x + 1", "clamp after each step"),
        ("return torch.rand_like(x)", "project after each step"),
        (STEPS.format("-"), "the score decreased"),
        (STEPS.format("+"), "change nothing"),
    ],
    "my_accentuation_loss": [
        (ACCENTUATION.format("") + "unit(y) + weight * e / n", "sign of the unit"),
        (ACCENTUATION.format("") + "weight * e - unit(y)", "squared norm"),
        (ACCENTUATION.format("") + "weight * (e / n).sqrt() - unit(y)", "not squared"),
        (ACCENTUATION.format("") + "e / n - unit(y)", "weight of the features' error"),
        (ACCENTUATION.format("features = lambda y: y; ") + "weight * e / n - unit(y)", "pixels"),
        (ACCENTUATION.format("") + "(weight * e / n - unit(y)).sum()", "whole batch"),
        (ACCENTUATION.format("") + "(weight * e / n - unit(y)).detach()", "the gradient is cut"),
    ],
    "my_parts": [
        (PATH.format(24) + "mean", "multiply it by"),
        (PATH.format(24) + "(start - x) * mean", "the sign"),
        (PATH.format(24) + "(x - start) * mean", "misses the difference"),
        (PATH.format(40) + "(x - start) * mean", "40 gradients"),
        ("return x - start", "not integrated gradients"),
    ],
    "my_ascent": [
        ("return torch.full((len(classes), 3, 64, 64), 0.5)", "not even the network"),
        ("return torch.full((len(classes), 3, 64, 64), 2.0)", "clamp after each step"),
        ("return torch.zeros(1, 3, 64, 64)", "an image for each class"),
    ],
    "my_moments": [
        (STATISTICS.format(VARIANCE, "t[1] ** 2", NORM, "mean(0)"), "these are variances"),
        (STATISTICS.format(VARIANCE, "t[1]", NORM, "mean(0)"), "compared with a standard"),
        (STATISTICS.format("f.std((2, 3))", "t[1]", NORM, "mean(0)"), "correction=0"),
        (STATISTICS.format(STD, "t[1]", "1", "mean(0)"), "squared norm"),
        (STATISTICS.format(STD, "t[1]", NORM, "sum(0)"), "the sum over the layers"),
        (STATISTICS.format(STD, "t[1]", NORM, "mean()"), "whole batch"),
        (STATISTICS.format(STD + ".detach()", "t[1]", NORM, "mean(0)"), "the gradient is cut"),
    ],
    "my_shifted_gram": [
        (CUTS + "f.flatten(2) @ f.roll((-dy, -dx), (2, 3)).flatten(2).mT / n", "roll connects"),
        (CUTS + "there @ here.mT / here.shape[2]", "transpose"),
        (CUTS + "here @ there.mT", "this is the sum"),
        (CUTS + "here @ there.mT / n", "fewer pairs than positions"),
        (CUTS + "here @ there.mT.detach() / here.shape[2]", "the gradient is cut"),
    ],
    "my_guided_gram": [
        (GUIDED + "g @ g.mT / g.shape[2]", "not by the number of positions"),
        (GUIDED + "g @ f.flatten(2).mT / squares", "both factors"),
        (GUIDED + "g @ g.mT / mask.sum((2, 3))[..., None]", "*squares*"),
        ("return f.flatten(2) @ f.flatten(2).mT / f[0, 0].numel()", "the mask is missing"),
        (GUIDED + "g @ g.mT / squares / len(f[0])", "not over channels"),
        (GUIDED + "g @ g.mT.detach() / squares", "the gradient is cut"),
    ],
    "my_new_style": [
        ("return painter", "expected one"),
        (TRAINED + "return net", "the nearest old style"),
        (TRAINED + "net.out.conv.weight.data += 1; return net", "convolutions have changed"),
        ("painter.out.conv.weight.data += 1; return painter", "its nine styles"),
    ],
    "my_painting": [
        ("return content", "does it decrease"),
        ("return content + 1", "clamp at the end"),
        ("return content[0]", "the shape is"),
    ],
    "my_flaw": [
        ("return images", "hardly uses this cue"),
        ("return images + 1", "expected 0 to 1"),
        ("return images[:, :1]", "the shape is"),
        ("from helpers.exercises.detective import COLORS\n"
         "    return COLORS[kinds][:, :, None, None].expand_as(images)", "too little is left"),
        ("images.mul_(0.5); return images", "in place"),
    ],
    "my_patch": [
        ("return torch.full((3, 16, 16), 0.5)", "no scene is classified"),
        ("return torch.full((3, 16, 16), 2.0)", "clamp after each step"),
        ("return images[0]", "one patch for all images"),
    ],
}
