"""A training that can be interrupted: its parts, how far it was and its log, in one file."""

import os

import torch


def save_checkpoint(path, done, log, *parts):
    """Writes the states of network, optimizer and schedule, whole or not at all."""
    torch.save({"states": [part.state_dict() for part in parts], "done": done, "log": log}, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def resume_checkpoint(path, device, *parts):
    """Puts the saved states back -> (how many rounds are done, log); (0, []) where nothing was saved."""
    if not path.exists():
        return 0, []
    saved = torch.load(path, map_location=device, weights_only=True)
    for part, state in zip(parts, saved["states"], strict=True):
        part.load_state_dict(state)
    print(f"{path.stem}: resumed after {saved['done']}")
    return saved["done"], saved["log"]
