"""Load what the notebooks work with: the device, the networks, the photographs, the scenes."""

import ctypes
from contextlib import suppress

import torch
from IPython import get_ipython

from helpers.networks import load_net
from helpers.photos import photos
from helpers.scenes import scenes


def load_course():
    """Return device, coursenet, robust, effnet, album, world: all on the device.

    The device is a GPU if there is one. `album` has the photographs by name, to be loaded at any
    size, album["cat"].load(224); `world` has the rendered scenes with their ground truth.
    """
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False     # on a GPU, compute in full precision
    # On a CPU, channels last takes 10% less time (coursenet) to 30% less (effnet).
    layout = torch.channels_last if device.type == "cpu" else torch.preserve_format
    shell = get_ipython()
    if shell:
        shell.events.register("post_run_cell", return_memory)
    names = "coursenet", "coursenet-robust", "efficientnet-lite0"
    networks = [load_net(name).to(device, memory_format=layout) for name in names]
    return device, *networks, photos(device), scenes(device)


def return_memory(result=None):
    """Return freed memory to the system, since glibc keeps up to 400 MB, and Binder has 2 GB."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
