"""The exercises of a notebook: cells whose code ends in `...`, their solutions, and wrong answers with a word of the hint for each."""

import ast
import re
from typing import NamedTuple

BLOCK = re.compile(r"<details><summary>Solution</summary>\n\n```python\n(.*?)\n```\n", re.S)


class Exercise(NamedTuple):
    cell: str  # its source
    stub: str  # the part of it that the reader completes; it ends in ...
    solution: str | None  # what stands in the fold below the cell

    @property
    def name(self):
        return re.match(r"(?:def )?(\w+)", self.stub)[1]

    def answered(self, answer):
        """The cell with an answer in the place of its stub."""
        return self.cell.replace(self.stub, answer)

    def completed(self, body):
        """The cell with this in the place of the dots."""
        return self.answered(self.stub.removesuffix("...") + body)


def exercises(notebook):
    """All exercises of a notebook, in their order."""
    found = []
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], None]):
        stub = cell.cell_type == "code" and "..." in cell.source and stub_in(cell.source)
        if stub:
            block = BLOCK.search(below.source) if below else None
            found.append(Exercise(cell.source, stub, block and block[1]))
    return found


def stub_in(source):
    """The source of the function, or of the name, that is still `...`; or None."""
    for node in ast.parse(source).body:
        last = node.body[-1] if isinstance(node, ast.FunctionDef) else node
        if isinstance(last, (ast.Expr, ast.Assign)) and isinstance(last.value, ast.Constant) and last.value.value is Ellipsis:
            return ast.get_source_segment(source, node)


SAME = "same = (labels[nearest_neighbors(features, features, {}).indices[:, {}]] == labels[:, None]).float();"
FIELD = "size, stride = 0, 1\n    for k, s in windows: stride = {}; size += (k - 1) * stride; stride = {}\n   "
GREY = "grey = lambda x: (x * x.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True);"
MOMENTS = "mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction={});"
LOOP = "\n    for step in range(steps): y = {}\n    return y"
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
    "my_guided": [
        ("return (f > 0) * R", "plain backprop"),
        ("return R.clamp(min=0)", "the deconvnet"),
        ("return (f > 0) * (R > 0)", "multiply by R"),
        ("return (f > 0) * R.abs()", "not turned round"),
    ],
    "my_channel": [
        ('return activations(net, x, "relu4")["relu4"][:, 3].amax((1, 2))', "the strongest place"),
        ('return activations(net, x, "relu4")["relu4"][:, 3].sum((1, 2))', "that is the sum"),
        ('return activations(net, x, "relu4")["relu4"][:, 3].mean()', "for the whole batch"),
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
    "keep_colours": [
        (f"{GREY} return (content + grey(painted - content)).clamp(0, 1)", "right, and clamped"),
        ("return content + (painted - content).mean(1, keepdim=True)", "green counts most"),
        (f"{GREY} return painted + grey(content - painted)", "the colours of the painting"),
        (f"{GREY} return grey(painted).expand_as(content)", "the painting in grey"),
    ],
    "my_instance_norm": [
        ("return F.batch_norm(x, None, None, training=True)", "batch norm"),
        ("return F.layer_norm(x, x.shape[1:])", "layer norm"),
        ("return x - x.mean((2, 3), keepdim=True)", "the variance is still"),
        (f"{MOMENTS.format(0)} return (x - mean) / (variance + 1e-5)", "the root of the variance"),
        (f"{MOMENTS.format(1)} return (x - mean) / (variance + 1e-5).sqrt()", "correction=0"),
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
