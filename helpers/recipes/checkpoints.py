"""A training that can be interrupted: its parts, how far it was and its log, in one file."""

from pickle import UnpicklingError

import torch

from helpers.errors import one_line
from helpers.files import whole


def save_checkpoint(path, done, log, *parts):
    """Writes the states of network, optimizer and schedule, whole or not at all."""
    with whole(path) as beside:
        torch.save({"states": [part.state_dict() for part in parts], "done": done, "log": log}, beside)


def resume_checkpoint(path, device, *parts):
    """Puts the saved states back -> (how many rounds are done, log); (0, []) where nothing was saved."""
    if not path.exists():
        return 0, []
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
        for part, state in zip(parts, saved["states"], strict=True):
            part.load_state_dict(state)
    except (OSError, EOFError, UnpicklingError, RuntimeError, KeyError, ValueError) as error:
        raise SystemExit(f"{path} is damaged, or the checkpoint of another training: {one_line(error)[:200]} "
                         "Delete it, or leave out --resume, to begin anew.") from None
    print(f"{path.stem}: resumed after {saved['done']}")
    return saved["done"], saved["log"]
