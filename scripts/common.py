"""Share what several programs need: tables of figures, and trainings that can be resumed."""

import json
import os

import torch

from helpers.metrics import bootstrap_ci
from helpers.networks import DATA


def interval(values):
    """Compute the mean of values (n,) and its 95% bootstrap interval, [mean, low, high]."""
    values = values.float()
    low, high = bootstrap_ci(values)
    return [values.mean().item(), float(low), float(high)]


def write_table(name, table):
    """Write data/NAME.json, with four digits of each number: more were not measured."""
    short = lambda digits: float(f"{float(digits):.4g}")
    rounded = json.loads(json.dumps(table), parse_float=short)
    (DATA / f"{name}.json").write_text(json.dumps(rounded) + "\n", encoding="utf-8")


def bf16_autocast(device):
    """Return a context that computes in bf16 where the device has it; else bf16 would be slow."""
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        supported = getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16", False)
    return torch.autocast(device.type, torch.bfloat16, enabled=bool(supported))


def save_checkpoint(path, done, log, *parts):
    """Write the states of network, optimizer, and schedule; if interrupted, the last file stays."""
    states = [part.state_dict() for part in parts]
    torch.save({"states": states, "done": done, "log": log}, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def resume_checkpoint(path, device, *parts):
    """Load the saved states; return how many rounds are done and the log, (0, []) if none are."""
    if not path.exists():
        return 0, []
    saved = torch.load(path, map_location=device, weights_only=True)
    for part, state in zip(parts, saved["states"], strict=True):
        part.load_state_dict(state)
    print(f"{path.stem}: resumed after {saved['done']}")
    return saved["done"], saved["log"]
