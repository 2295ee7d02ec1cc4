"""Are the results the same elsewhere?  python3 run.py trust same [--write], and python3 run.py trust same versions

Every main method runs on photographs, on both kinds of network, under several conditions, each in a process of its own, and is compared
with one thread in float32. Another processor is imitated by the variables by which PyTorch's libraries choose their instructions.
`versions` builds two environments in a temporary folder, with the oldest versions that pyproject.toml admits on the oldest Python, and
with the newest on the newest, and runs the tests in both: that takes a network, tens of minutes and several gigabytes.
With --write the table goes into tests/README.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch

from helpers.activations import activations
from helpers.adversarial import fool
from helpers.ascent import ascend
from helpers.attribution import grad_cam, occlusion, saliency, smooth_grad
from helpers.dream import dream
from helpers.features import codes, nearest_neighbors, pca
from helpers.images import photos, sliding_crops
from helpers.inversion import invert
from helpers.nets import fast, has_bf16, layer_names, load_net
from helpers.optimize import last
from helpers.param import PixelImage
from helpers.patches import top_patches
from helpers.recipes.marks import write_between
from helpers.style import style_grams, style_transfer

ROOT = Path(__file__).resolve().parents[2]
ONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
SSE = {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "OPENBLAS_CORETYPE": "Nehalem"}
CONDITIONS = {      # variables of the process, what it is told
    "once more": (ONE, ""),
    "two threads": ({**dict.fromkeys(ONE, "2"), "OMP_WAIT_POLICY": "passive"}, ""),     # or they spin where others want the cores, too
    "channels last": (ONE, "channels_last"),
    "a processor with AVX2": (ONE | AVX2, ""),
    "a processor with SSE4": (ONE | SSE, ""),
    "bf16": (ONE, "bf16"),
}
NETS = {"coursenet": (64, ["relu3", "relu5"], "fc7"), "efficientnet-lite0": (224, ["block5", "head_relu"], "avgpool")}
DEPTH = {"coursenet": 8, "efficientnet-lite0": 50}      # layers of sums
CLIMBS, WILD = ("ascent", "fooling", "inversion", "style", "dream"), "ascent from noise"
TIES = ("neighbours", "whose patches")


def limit(net, method, bf16):
    """How far a result may be from the base, where anything is promised: a number, "at ties", or None."""
    # float32 rounds by 6e-8, a few times in each sum; bf16 by 4e-3, once after a sum in float32, and half of it averages out.
    rounding = DEPTH[net] * (2e-3 if bf16 else 2e-7)
    if method in ("classes", "success"):
        return 0
    if method in TIES:              # the values beside them are held: of two that are equal, the rounding may choose
        return "at ties"
    if method == "occlusion":       # a difference of scores that are nearly equal
        return 10 * rounding
    if method in ("saliency", "SmoothGrad", "Grad-CAM"):
        # A gradient jumps where a ReLU changes sides. In each layer the share of units that do is the rounding, and the share of the
        # squared gradient that is exchanged is all of them; where that exceeds 1, nothing is promised.
        return (DEPTH[net] * rounding) ** 0.5 if DEPTH[net] * rounding < 1 else None
    if method in [f"{climb}, loss" for climb in CLIMBS]:
        return 1e-2 if not bf16 else None if "fooling" in method else 1e-1      # the course attacks in float32
    # A climb carries each difference on: its pictures may differ, only their loss is held. That of an ascent from noise in a deep
    # network is not even that: it is chaotic.
    return None if method.removesuffix(", loss") in (*CLIMBS, WILD) else rounding


# ---- What is compared ----

def quantities(name, *, channels_last=False):
    """Of a network, {method: what it gives}; whole numbers are decisions: classes, places, neighbours."""
    side, (low, high), code = NETS[name]
    layout = {"memory_format": torch.channels_last} if channels_last else {}
    net, album = load_net(name).to(**layout), list(photos().values())
    x = torch.cat([photo.load(side) for photo in album]).to(**layout)
    crops = sliding_crops([photo.load() for photo in album], [200], size=64).to(**layout)
    k, cat = net(x).argmax(1), x[:1]
    score = lambda x: net(x).gather(1, k[:len(x), None])[:, 0].float()
    shelf = codes(net, crops, code)[code].float()
    near = nearest_neighbors(codes(net, x, code)[code].float(), shelf, 5)
    patches = top_patches(net, crops, high, 5)
    fooled = fool(net, x[:4], k[:4], steps=8)
    grams = style_grams(net, cat, [low])
    noise = PixelImage.noise(side, side, batch=2, generator=torch.Generator().manual_seed(0)).to(**layout)
    climbs = {
        "ascent" if side == 64 else WILD: (noise().detach().clone(), last(ascend(net, k[:2], image=noise, steps=32))),
        "inversion": (0, last(invert(net, cat, low, steps=8))),
        "style": (x[1:2], last(style_transfer(net, x[1:2], grams, content_layer=low, steps=6))),
        "dream": (cat, last(dream(net, cat, low, steps=3, octaves=2))),
    }
    given = {
        "classes": k,
        "scores": net(x),
        **{f"activations {layer}": a for layer, a in activations(net, x, [n for n in layer_names(net) if "." not in n]).items()},
        "codes": shelf,
        "PCA": pca(shelf, 2)(shelf),
        "distances to neighbours": near.distances,
        "neighbours": near.indices,
        "top patches": patches.values,
        "whose patches": patches.indices,
        "Gram matrices": grams[low],
        "occlusion": occlusion(lambda x: net(x)[:, k[0]].float(), cat, window=side // 4, stride=side // 8),
        "saliency": saliency(score, x),
        "SmoothGrad": smooth_grad(score, x[:2], samples=4),
        "Grad-CAM": grad_cam(net, x, low, score=lambda y: y.gather(1, k[:, None])[:, 0].float()),
        "success": fooled.success.long(),
        "fooling": fooled.images - x[:4],
        "fooling, loss": fooled.distances,
    }
    for climb, (start, step) in climbs.items():
        given |= {climb: step.image - start, f"{climb}, loss": torch.tensor(step.loss)}
    return {method: value.detach().contiguous() if value.dtype == torch.long else value.detach().float().contiguous()
            for method, value in given.items()}


def distance(a, b):
    """|a - b| / |b|; of decisions, the share that differs; infinite where one is no number."""
    if a.dtype == torch.long:
        return (a != b).float().mean().item()
    return ((a - b).double().norm() / b.double().norm().clamp(min=1e-12)).nan_to_num(nan=torch.inf).item()


def compared(found, base):
    """{method: distance}, of the layers' activations the largest."""
    far = {}
    for method, value in base.items():
        name = method.split(" ")[0] if method.startswith("activations") else method
        far[name] = max(far.get(name, 0.0), distance(found[method], value))
    return far


def wrong(net, far, bf16=False):
    """What lies beyond its limit."""
    limits = {method: limit(net, method, bf16) for method in far}
    return [f"{method} {far[method]:.0e}, at most {most:.0e}" for method, most in limits.items()
            if most not in ("at ties", None) and far[method] > most]


# ---- In processes of their own ----

def child(told, path):
    """All quantities under a condition, into a file."""
    if "ATEN_CPU_CAPABILITY" in os.environ:         # which PyTorch heeds, but not where it says what the processor can
        torch.cpu.get_capabilities = dict
    with fast("cpu", exact=told != "bf16"):
        torch.save({name: quantities(name, channels_last=bool(told)) for name in NETS}, path)


def run_in(folder, condition, variables, told):
    path = folder / f"{condition}.pt"
    subprocess.run([sys.executable, __file__, "--child", told, path], env=os.environ | variables | {"PYTHONPATH": str(ROOT)}, check=True)
    return torch.load(path, weights_only=True)


def same(write):
    rows, problems = {}, []
    conditions = {name: how for name, how in CONDITIONS.items() if name != "bf16" or has_bf16("cpu")}
    with tempfile.TemporaryDirectory() as folder:
        run = partial(run_in, Path(folder))
        base = run("base", ONE, "")
        for condition, (variables, told) in conditions.items():
            found = run(condition, variables, told)
            for net in NETS:
                far = compared(found[net], base[net])
                problems += [f"{net}, {condition}: {each}" for each in wrong(net, far, told == "bf16")]
                for method, value in far.items():
                    rows.setdefault((net, method), {})[condition] = value
    for condition in conditions:        # an imitated processor that rounds alike would prove nothing
        if any(row[condition] for row in rows.values()) == (condition == "once more"):
            problems.append("the same twice gave different results" if condition == "once more" else f"{condition}: rounded as before")
    text = table(rows, conditions) + "".join(f"\n* **{problem}**" for problem in problems)
    print(text)
    if write:
        write_between(ROOT / "tests/README.md", "same", text)
    return int(bool(problems))


def table(rows, conditions):
    limits = ["at most", "at most, in bf16"][:1 + ("bf16" in conditions)]
    with_what = f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    lines = ["Each number is |a - b| / |b|, where b is the result of one thread in float32; of decisions (classes, neighbours, whose "
             f"patches, success), the share that differs. {with_what}.", "",
             "| " + " | ".join(["network", "method", *conditions, *limits]) + " |",
             "|---|---" + "|---:" * (len(conditions) + len(limits)) + "|"]
    number = lambda value: "" if value is None else value if isinstance(value, str) else f"{value:.0e}" if value else "0"
    for (net, method), row in rows.items():
        most = [limit(net, method, bf16) for bf16 in range(1 + ("bf16" in conditions))]
        lines.append("| " + " | ".join([net, method, *map(number, row.values()), *map(number, most)]) + " |")
    return "\n".join(lines)


# ---- The oldest and the newest versions ----

APART = ("notebooks", "browser", "slides_browser", "run", "widgets", "contributing")      # they run everything, or make environments


def versions():
    """Builds both environments and runs the tests in each -> 0 if all pass."""
    import run
    uv, code = run.find_uv(), 0
    tests = [path for path in sorted((ROOT / "tests").glob("test_*.py")) if path.stem.removeprefix("test_") not in APART]
    backend = ["--torch-backend", run.BACKEND] * (run.BACKEND != "auto")
    with tempfile.TemporaryDirectory() as folder:
        for python, how in ((run.SUPPORTED[0], ["--resolution", "lowest-direct"]), (run.SUPPORTED[-1], ["--upgrade"])):
            place = Path(folder) / python
            exe = place / run.PYTHON.relative_to(run.VENV)
            steps = [[uv, "venv", "--python", python, place],
                     [uv, "pip", "install", "--python", exe, *how, *backend, "-e", f"{ROOT}[test,lecture]"],
                     [exe, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider", *tests]]
            failed = any(subprocess.call(step, cwd=ROOT) for step in steps)
            print(f"Python {python}, {how[-1]}: {'failed, see above' if failed else 'all passed'}", flush=True)
            code |= failed
    return int(code)


if __name__ == "__main__":
    sys.path.append(str(ROOT))
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        plain = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(prog="run.py trust same", description=__doc__, formatter_class=plain)
        parser.add_argument("what", nargs="?", choices=["versions"], help="the oldest and the newest versions, instead of the table")
        parser.add_argument("--write", action="store_true", help="write the table into tests/README.md")
        args = parser.parse_args()
        sys.exit(versions() if args.what else same(args.write))
