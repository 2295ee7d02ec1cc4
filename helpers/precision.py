"""Half precision where the processor computes in it. It is asked, not assumed: without that, bf16 is many times slower."""

import torch


def has_bf16(device):
    """Does this device multiply in bf16? GPUs and, on a CPU, AVX-512's bf16 instructions."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


def fast(device, *, exact=False):
    """A context in which networks run in bf16 if the device gains from it, unless `exact`: then in float32.

    Only together with `channels_last` is it faster on a CPU.
    """
    device = torch.device(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=not exact and has_bf16(device))
