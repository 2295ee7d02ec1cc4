"""Wrong answers to the exercises of the notebooks, with a word of the hint that each must get."""

SAME = "same = (labels[nearest_neighbors(features, features, {}).indices[:, {}]] == labels[:, None]).float();"
FIELD = "size, stride = 0, 1\n    for k, s in windows: stride = {}; size += (k - 1) * stride; stride = {}\n   "
MOMENTS = "mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction={});"
LOOP = "\n    for step in range(steps): y = {}\n    return y"
SORTED = "order = p.argsort(); passed = p[order] < level / torch.arange(len(p), 0, -1);"
WALK = ("size, step, stride = 1, 0, 1\n    for k, s, p, d in layers: size += {}; step -= {}; stride = {}\n"
        "    return size, stride, step")
CAM = ("kept = {{}}\n    def forward(module, inputs, output):\n        kept['a'] = output.detach()\n"
       "        output.register_hook(lambda g: kept.update(g=g))\n    handle = module.register_forward_hook(forward)\n"
       "    z = x.detach().requires_grad_(); torch.autograd.grad(score(z).sum(), z); {1}\n    a, g = kept['a'], kept['g']\n"
       "    return F.interpolate(({0}){2}, x.shape[2:], mode='bilinear')[:, 0]")
STEPS = ("y = x\n    for _ in range(steps):\n        y = y.detach().requires_grad_(); g, = torch.autograd.grad(score(y).sum(), y)\n"
         "        length = g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)\n"
         "        y = (y {0} epsilon / steps * (g.sign() if norm == 'linf' else g / length)).clamp(0, 1)\n    return y.detach()")
SQUARES = "s = F.pad(x.diff(dim=3), (0, 1)) ** 2 + F.pad(x.diff(dim=2), (0, 0, 0, 1)) ** 2;"
WAY = ("mean = 0\n    for k in range({0}):\n        y = (start + (k + 0.5) / {0} * (x - start)).detach().requires_grad_()\n"
       "        mean = mean + torch.autograd.grad(score(y).sum(), y)[0] / {0}\n   ")
LAYERS = ("each = []\n    for name, t in targets.items():\n        f, t = features[name], torch.stack([t[0], {1}], 1)\n"
          "        d = torch.stack([f.mean((2, 3)), {0}], 1) - t; each.append((d ** 2).sum((1, 2)) / {2})\n"
          "    return torch.stack(each).{3}")
CUTS = ("h, w = f.shape[2:]; here, there = f[..., :h - dy, :w - dx].flatten(2), f[..., dy:, dx:].flatten(2);")
TAUGHT = ("from helpers.style import TransformNet; learner = TransformNet(['new']).to(crops.device)\n"
          "    learner.load_state_dict({n: p.mean(0, keepdim=True) if n.endswith(('scale', 'shift')) else p "
          "for n, p in painter.state_dict().items()});")
WRONG = {
    # 01
    "my_probability": [
        ("return net(x)[:, class_index(net, name)]", "these are the scores"),
        ("return net(x).sigmoid()[:, class_index(net, name)]", "a sigmoid"),
        ("return net(x).softmax(0)[:, class_index(net, name)]", "over the images"),
        ("return 100 * net(x).softmax(1)[:, class_index(net, name)]", "per cent"),
    ],
    "my_most_colourful": [
        ("return (W - W.mean(1, keepdim=True)).square().sum((1, 2, 3)).argmax()", "the most colour in all"),
        ("return ((W - W.mean(1, keepdim=True)).square().sum((1, 2, 3)) / W.square().sum((1, 2, 3))).argmin()", "the greyest"),
        ("return W.square().sum((1, 2, 3)).argmax()", "the largest weights"),
    ],
    "my_shared": [
        (f"{SAME.format(5, ':')} return same.mean()", "its own nearest neighbour"),
        (f"{SAME.format(6, ':')} return same.mean()", "its own nearest neighbour"),
        (f"{SAME.format(6, '1:')} return same.sum(1).mean()", "divide by five"),
        (f"{SAME.format(6, '1:')} return 100 * same.mean()", "per cent"),
    ],
    "my_tsne": [
        (LOOP.format("y - rate * map_gradient(P, y)"), "early exaggeration is missing"),
        (LOOP.format("y - rate * map_gradient(4 * P, y)"), "must end"),
        (LOOP.format("y + rate * map_gradient(4 * P if step < steps / 2 else P, y)"), "that climbs"),
        ("return y", "nothing has moved"),
    ],
    "my_sparsity": [
        ("return (activations(net, x, layer)[layer] > 0).float().mean()", "units that fire"),
        ("return (activations(net, x, layer)[layer] == 0).sum()", "a count"),
        ("return 100 * (activations(net, x, layer)[layer] == 0).float().mean()", "per cent"),
    ],
    "my_field": [
        ("return 1 + sum(k - 1 for k, s in windows)", "strides are missing"),
        (f"{FIELD.format('stride * s', 'stride')} return 1 + size", "not its own window"),
        (f"{FIELD.format('stride', 'stride * s')} return size", "one pixel short"),
    ],
    "my_occlusion": [
        ("return -occlusion(score, x, window=window, stride=window)[0, ::window, ::window]", "the sign"),
        ("return score(x) - occlusion(score, x, window=window, stride=window)[0, ::window, ::window]", "the covered scores"),
        ("return occlusion(score, x, window=window, stride=window)[0, ::window, ::window].T", "exchanged"),
    ],
    "my_signed_saliency": [
        ("return input_gradient(score, x).abs().amax(1)", "`saliency` itself"),
        ("return input_gradient(score, x).abs().mean(1)", "the signs are gone"),
        ("return input_gradient(score, x).sum(1)", "the sum over the colours"),
        ("return input_gradient(score, x).mean((2, 3))", "over the pixels"),
    ],
    "my_mass": [
        ("return (maps * masks).sum((1, 2)) / maps.sum((1, 2))", "negative values count"),
        ("return (maps.abs() * masks).sum((1, 2)) / maps.abs().sum((1, 2))", "absolute value"),
        ("return masks.float().mean((1, 2))", "the object's share"),
    ],
    # 02
    "my_iou": [
        ("return 2 * (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2)))", "Dice"),
        ("return (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2)))", "counts the intersection twice"),
        ("return (a & b).sum((1, 2)) / b.sum((1, 2))", "the second mask that was found"),
        ("return (a & b).sum((1, 2)) / a.sum((1, 2))", "the first mask that is right"),
        ("return (a == b).float().mean((1, 2))", "pixels that agree"),
    ],
    "my_fgsm": [
        ("return x + epsilon * g.sign()", "left [0, 1]"),
        ("return (x - epsilon * g.sign()).clamp(0, 1)", "lowers the loss"),
        ("return (x + epsilon * g).clamp(0, 1)", "the sign of the gradient"),
        ("return (x + epsilon * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)", "the l2 step"),
    ],
    "my_variation": [
        ("return x.diff(dim=3).abs().sum((1, 2, 3)) + x.diff(dim=2).abs().sum((1, 2, 3))", "square the differences"),
        ("return x.diff(dim=3).square().mean((1, 2, 3)) + x.diff(dim=2).square().mean((1, 2, 3))", "that is a mean"),
        ("return x.diff(dim=3).square().sum((1, 2, 3))", "to the pixel below"),
        ("return x.diff(dim=2).square().sum((1, 2, 3))", "on the right"),
        ("return x.diff(dim=3).square().sum() + x.diff(dim=2).square().sum()", "for the whole batch"),
    ],
    # 03
    "dream_gradient": [
        ("return a", "lets all channels dream"),
        ("g = torch.zeros_like(a); g[:, 7] = 1; return g", "the channel's sum"),
        ("g = torch.zeros_like(a); g[:, 7] = 2 * a[:, 7]; return g", "half of it"),
        ("g = torch.zeros_like(a); g[:, 6] = a[:, 6]; return g", "count from 0"),
    ],
    "my_distance": [
        ("return ((source_windows - window) ** 2 * weight).sum((1, 2, 3))", "few known pixels"),
        ("return ((source_windows - window) ** 2 * weight).sum((1, 2, 3)) / (3 * weight.sum())", "not divided by 3"),
        ("return ((source_windows - window) ** 2).sum((1, 2, 3)) / weight.sum()", "the weights are missing"),
        ("return ((source_windows - window).abs() * weight).sum((1, 2, 3)) / weight.sum()", "square the differences"),
        ("return ((source_windows - window) ** 2 * weight).mean((1, 2, 3))", "a mean counts"),
        ("return (((source_windows - window) ** 2 * weight).sum((1, 2, 3)) / weight.sum()).sqrt()", "the root"),
    ],
    "my_gram": [
        ('return torch.einsum("bchw,bdhw->bcd", f, f)', "the sum over the places"),
        ('return torch.einsum("bchw,bdhw->bcd", f, f) / f[0].numel()', "by the channels too"),
        ("f = f.flatten(2); return f.transpose(1, 2) @ f / f.shape[2]", "compares places"),
        ("f = f.permute(0, 2, 3, 1).reshape(len(f), f.shape[1], -1); return f @ f.transpose(1, 2) / f.shape[2]", "mixed channels"),
        ("return torch.stack([g.flatten(1).cov(correction=0) for g in f])", "covariance"),
    ],
    "my_instance_norm": [
        ("return F.batch_norm(x, None, None, training=True)", "batch norm"),
        ("return F.layer_norm(x, x.shape[1:])", "layer norm"),
        ("return x - x.mean((2, 3), keepdim=True)", "the variance is still"),
        (f"{MOMENTS.format(0)} return (x - mean) / (variance + 1e-5)", "the root of the variance"),
        (f"{MOMENTS.format(1)} return (x - mean) / (variance + 1e-5).sqrt()", "correction=0"),
    ],
    # 05
    "my_receptive_field": [
        (WALK.format("(k - 1) * stride", "p * stride", "stride * s"), "dilation is missing"),
        (WALK.format("(d * k - 1) * stride", "p * stride", "stride * s"), "not d k"),
        (WALK.format("d * (k - 1) * stride", "0", "stride * s"), "the offset is missing"),
        (WALK.format("d * (k - 1) * stride", "p", "stride * s"), "counted in that layer's pixels"),
        (WALK.format("d * (k - 1)", "p", "1"), "strides are missing"),
    ],
    "my_map": [
        ("return torch.randn(len(features), 2)", "hardly better than points by chance"),
        ("return features[:, :2]", "hardly better than PCA's plane"),
        ("return torch.zeros(len(features), 2)", "at one place"),
        ("return features[:, 0]", "a point for each picture"),
        ("return features[:, :2] / 0", "NaN or infinite"),
    ],
    "my_holm": [
        ("return p < level", "nothing is corrected"),
        ("return p < level / len(p)", "Bonferroni"),
        (f"{SORTED} return passed[order.argsort()]", "stop at the first"),
        (f"{SORTED} return (torch.arange(len(p)) <= passed.nonzero().max())[order.argsort()]", "Hochberg"),
        (f"{SORTED} return passed.cumprod(0).bool()", "in the order of the p-values"),
        ("p *= 2; return p < level", "in place"),
    ],
    "my_rival": [
        ("return x", "a map for each picture"),
        ("return torch.ones_like(x[:, 0])", "points at nothing"),
        ("return 0 / (x[:, 0] * 0)", "NaN or infinite"),
        ("x -= 0.5; return x[:, 0]", "in place"),
    ],
    "my_occluder": [
        ("return x[:, 0] * 0", "expected torch.bool"),
        ("return x[:, 0] > 2", "no answer changes"),
        ("return x > 0.5", "a mask for each picture"),
    ],
    "my_grad_cam": [
        (CAM.format("g.mean((2, 3), keepdim=True) * a", "handle.remove()", ".sum(1, keepdim=True)"), "negative evidence"),
        (CAM.format("g * a", "handle.remove()", ".sum(1, keepdim=True).relu()"), "HiResCAM"),
        (CAM.format("a", "handle.remove()", ".sum(1, keepdim=True).relu()"), "no gradient is in it"),
        (CAM.format("g.amax((2, 3), keepdim=True) * a", "handle.remove()", ".sum(1, keepdim=True).relu()"), "not its largest"),
        (CAM.format("g.mean((2, 3), keepdim=True) * a", "pass", ".sum(1, keepdim=True).relu()"),
         "still there"),
    ],
    "my_pgd": [
        ("return x", "nothing has moved"),
        ("return x + 1", "left [0, 1]"),
        ("return torch.rand_like(x)", "project after every step"),
        (f"{STEPS.format('-')}", "the score has fallen"),
        (f"{STEPS.format('+')}", "change nothing"),
    ],
    "my_total_variation": [
        ("return (x.diff(dim=3) ** 2).sum((1, 2, 3)) + (x.diff(dim=2) ** 2).sum((1, 2, 3))", "beta = 2 whatever"),
        ("return x.diff(dim=3).abs().sum((1, 2, 3)) + x.diff(dim=2).abs().sum((1, 2, 3))", "adds |dx| and |dy|"),
        (f"{SQUARES} return s.sqrt().mean((1, 2, 3))", "that is a mean"),
        (f"{SQUARES} return s.sqrt().sum()", "for the whole batch"),
        (f"{SQUARES} return s.sqrt().sum((1, 2, 3))", "NaN or infinite numbers in the gradient"),
        (f"{SQUARES} return (s + 1e-12).sqrt().sum((1, 2, 3)).detach()", "the gradient was cut"),
    ],
    "my_parts": [
        (f"{WAY.format('24')} return mean", "how far the value moved"),
        (f"{WAY.format('24')} return (start - x) * mean", "the sign"),
        (f"{WAY.format('24')} return (x - start) * mean", "miss the difference"),
        (f"{WAY.format('40')} return (x - start) * mean", "40 gradients"),
        ("return x - start", "no integrated gradient"),
    ],
    "my_ascent": [
        ("return torch.full((len(classes), 3, 64, 64), 0.5)", "not even the network"),
        ("return torch.full((len(classes), 3, 64, 64), 2.0)", "clamp after every step"),
        ("return torch.zeros(1, 3, 64, 64)", "a picture for each class"),
    ],
    "my_moments": [
        (LAYERS.format("f.var((2, 3), correction=0)", "t[1] ** 2", "(t ** 2).sum((1, 2))", "mean(0)"), "those are variances"),
        (LAYERS.format("f.var((2, 3), correction=0)", "t[1]", "(t ** 2).sum((1, 2))", "mean(0)"), "compared with a deviation"),
        (LAYERS.format("f.std((2, 3))", "t[1]", "(t ** 2).sum((1, 2))", "mean(0)"), "correction=0"),
        (LAYERS.format("f.std((2, 3), correction=0)", "t[1]", "1", "mean(0)"), "squared length"),
        (LAYERS.format("f.std((2, 3), correction=0)", "t[1]", "(t ** 2).sum((1, 2))", "sum(0)"), "the sum over the layers"),
        (LAYERS.format("f.std((2, 3), correction=0).detach()", "t[1]", "(t ** 2).sum((1, 2))", "mean()"), "the whole batch"),
    ],
    "my_shifted_gram": [
        ('return torch.einsum("bchw,bdhw->bcd", f, f.roll((-dy, -dx), (2, 3))) / f[0, 0].numel()', "joins the right edge"),
        (f"{CUTS} return there @ here.transpose(1, 2) / here.shape[2]", "exchanged"),
        (f"{CUTS} return here @ there.transpose(1, 2)", "that is the sum"),
        (f"{CUTS} return here @ there.transpose(1, 2) / f[0, 0].numel()", "fewer pairs than places"),
        (f"{CUTS} return here @ there.transpose(1, 2).detach() / here.shape[2]", "gradient"),
    ],
    "my_new_style": [
        ("return painter", "expected one"),
        (f"{TAUGHT} return learner", "the nearest old style"),
        (f"{TAUGHT} learner.out.conv.weight.data += 1; return learner", "convolutions have changed"),
        ("painter.out.conv.weight.data += 1; return painter", "its nine styles"),
    ],
    "my_painting": [
        ("return content", "does it go down"),
        ("return content + 1", "a picture must be one"),
        ("return content[0]", "the shape is"),
    ],
    "my_flaw": [
        ("return images", "hardly cheats"),
        ("return images + 1", "from 0 to 1"),
        ("return images[:, :1]", "the shape is"),
        ("from helpers.exercises.detective import INKS; return INKS[kinds][:, :, None, None].expand_as(images)", "too little is left"),
        ("images.mul_(0.5); return images", "in place"),
    ],
    # 04
    "case": [
        ('"A"', "no evidence"),
        ("0.08", "nobody is accused"),
        ('"B", 0.96', "that one is honest"),
        ('"C", 0.08', "no suspect"),
        ('"A", heads["A"].accuracy(plain, labels)', "no flaw at all"),
        ('"A", 8.3', "in per cent"),
    ],
    "second": [
        ('"D"', "no evidence"),
        ("0.2", "nobody is accused"),
        ('"C", 0.95', "that one is honest"),
        ('"D", cases["D"].accuracy(plain, labels)', "no flaw at all"),
        ('"D", cases["D"].accuracy(tint(plain, labels), labels)', "nothing misleads"),
    ],
}
