"""Where memory ends in a batch: it is halved, tried again and said, with the same results; of one picture the error is a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.adversarial import fool
from helpers.ascent import class_pictures, named
from helpers.attribution import occlusion
from helpers.batches import in_batches
from helpers.features import Probe, codes
from helpers.patches import top_patches

X = torch.rand(7, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(7)


def accuracy(net):
    return torch.tensor(Probe(net, "fc7", torch.eye(256, 10), torch.zeros(10)).accuracy(X, LABELS, batch=5))


CALLS = {
    "codes": lambda net: codes(net, X, "conv5", batch=6)["conv5"],
    "top_patches": lambda net: top_patches(net, X, "conv5", 3, batch=6).values,
    "occlusion": lambda net: occlusion(lambda x: net(x)[:, 3], X[:1], window=16, stride=8),
    "accuracy": accuracy,
    "named": lambda net: named(net, X, LABELS, 5).float(),
    "class_pictures": lambda net: class_pictures(net, range(7), steps=2, batch=5),
    "fool": lambda net: fool(net, X, LABELS, targets=LABELS, steps=3, batch=5).images,
}


ERRORS = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError(),
          RuntimeError("[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
          RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
          RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)")]


@pytest.mark.parametrize("name, error", [*[("codes", error) for error in ERRORS], *[(name, ERRORS[0]) for name in [*CALLS][1:]]])
def test_batches_are_halved_and_it_is_said(name, error, random_net, capsys, tries):
    """Memory that ends in a batch, on a GPU, on a CPU, in Python, down to one picture"""
    def limited(module, inputs):
        if len(inputs[0]) > most:
            raise error
    expected = CALLS[name](random_net)
    assert capsys.readouterr().out == ""
    most, handle = 2, random_net.conv1.register_forward_pre_hook(limited)
    try:
        torch.testing.assert_close(CALLS[name](random_net), expected, rtol=1e-4, atol=1e-4)
        said = capsys.readouterr().out.splitlines()
        assert 1 <= len(said) <= 3 and all(line.startswith("Not enough memory for") and "going on with" in line for line in said)
        tries(said[0])
        most = 0
        with pytest.raises(MemoryError, match="^Not enough memory, even for one at a time. Try smaller pictures"):
            CALLS[name](random_net)
        tries("Not enough memory, even for one at a time")
    finally:
        handle.remove()


def test_parts_by_hand(capsys):
    def run(part):
        if len(part) > 2:
            raise MemoryError
        return part
    assert list(in_batches(run, [*range(9)], 4)) == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert capsys.readouterr().out == "Not enough memory for 4 at a time: going on with 2.\n"
    assert list(in_batches(len, [], 4)) == [0] and list(in_batches(len, [1, 2, 3], 2.0)) == [2, 1]
    with pytest.raises(RuntimeError, match="shapes"):       # another error is as it was
        list(in_batches(lambda part: torch.ones(2) @ torch.ones(3, 1), [1, 2], 2))
    with pytest.raises(ValueError, match="whole number"):
        list(in_batches(run, [1], 0))


CHILD = """
import resource, sys, torch
from helpers.features import codes
from helpers.nets import load_net
torch.set_num_threads(1)
net, x = load_net("coursenet"), torch.rand(64, 3, 128, 128, generator=torch.Generator().manual_seed(0))
expected = codes(net, x, "conv5", batch=8)["conv5"]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, resource.RLIM_INFINITY))
torch.testing.assert_close(codes(net, x, "conv5", batch=64)["conv5"], expected, rtol=1e-4, atol=1e-4)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such limit there")
def test_a_process_that_may_not_have_more(tries):
    """Memory that a process really may not have"""
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0 and "Not enough memory for 64 at a time: going on with 32." in done.stdout, done.stdout + done.stderr
    tries(done.stdout.splitlines()[0])
