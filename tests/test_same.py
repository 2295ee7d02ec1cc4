"""The same numbers with two threads, in another memory format, on another processor, which is imitated: see tests/trust/same.py."""

import os
import platform
import subprocess
import sys
import warnings

import pytest
import torch

from helpers.attribution import grad_cam, saliency
from helpers.images import photos
from helpers.nets import load_net, top_classes
from tests.trust.same import ONE, ROOT, SSE, compared, wrong

NET = "coursenet"


def seen(layout=torch.contiguous_format):
    """What CourseNet says of three photographs, and why."""
    net = load_net(NET).to(memory_format=layout)
    x = torch.cat([photos()[name].load(64) for name in ("cat", "espresso", "dahlia")]).to(memory_format=layout)
    score = lambda x: net(x).amax(1)
    return {"classes": net(x).argmax(1), "scores": net(x), "saliency": saliency(score, x),
            "Grad-CAM": grad_cam(net, x, "relu5", lambda y: y.amax(1))}


@pytest.fixture(scope="module")
def base():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield seen()
    torch.set_num_threads(threads)


def test_two_threads_and_another_memory_format(base):
    torch.set_num_threads(2)
    found = [seen(), seen(torch.channels_last)]
    torch.set_num_threads(1)
    assert [wrong(NET, compared(each, base)) for each in found] == [[], []]


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="only there can older processors be imitated")
def test_another_processor(base, tmp_path):
    code = f"import torch, tests.test_same as t; torch.save(t.seen(), {str(tmp_path / 'seen.pt')!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | ONE | SSE | {"PYTHONPATH": str(ROOT)}, check=True)
    found = torch.load(tmp_path / "seen.pt", weights_only=True)
    assert wrong(NET, compared(found, base)) == []          # `run.py trust same` looks whether the roundings do differ


def test_a_difference_would_be_seen(base):
    moved = base | {"scores": base["scores"] * 1.001, "classes": base["classes"].roll(1), "saliency": base["saliency"] * torch.nan}
    assert [each.split()[0] for each in wrong(NET, compared(moved, base))] == ["classes", "scores", "saliency"]


def test_the_cat_is_an_espresso_by_a_margin():
    """The mystery of the course: no rounding decides it."""
    (first, p), (_, q) = top_classes(load_net(), photos()["cat"].load(64), 2)[0]
    assert first == "espresso" and p > q + 0.03


@pytest.mark.parametrize("module", ["helpers.nets", "test_nets", "tests.drive"])
def test_a_call_that_will_go_is_a_mistake(module):
    with pytest.raises(DeprecationWarning):
        warnings.warn_explicit("this will go", DeprecationWarning, "somewhere.py", 1, module=module)
