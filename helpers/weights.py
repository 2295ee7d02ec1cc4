"""Weights in a file: float16 safetensors, with the facts about them and a hash in the metadata."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from helpers.files import whole

FORMAT = 1      # that of a file which says none; whoever changes the format adds 1, and writes it among the facts as "format"


def fingerprint(tensors, facts):
    """SHA-256 of the names and bytes of a state dict, and of the facts about it but the fingerprint itself."""
    digest = hashlib.sha256(json.dumps({key: facts[key] for key in sorted(facts) if key != "sha256"}).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def write_weights(tensors, path, **facts):
    """Writes a state dict as float16 safetensors; the facts about it and a hash go into the metadata as JSON.

    Raises ValueError for weights that float16 cannot hold, and where the file cannot be written; it is then as it was before.
    """
    tensors = {name: t.half().contiguous() for name, t in tensors.items()}
    check_finite(tensors, path)
    facts = json.loads(json.dumps(facts))       # as they will be read: tuples become lists
    metadata = {key: json.dumps(value) for key, value in (facts | {"sha256": fingerprint(tensors, facts)}).items()}
    with whole(path) as beside:
        save_file(tensors, beside, metadata=metadata)


def check_finite(tensors, path):
    for name, t in tensors.items():
        if not t.isfinite().all():
            raise ValueError(f"{path}: some weights of {name!r} are infinite or not a number. Try a checkpoint from before.")


def read_weights(path, *needed):
    """A file of write_weights -> (tensors, facts).

    Raises ValueError if it is missing, damaged, of a newer format, or without a fact that is `needed`.
    """
    try:
        content = Path(path).read_bytes()       # at once: safe_open would open it twice, and it may be replaced in between
        tensors, length = load(content), int.from_bytes(content[:8], "little")
        facts = {key: json.loads(value) for key, value in json.loads(content[8:8 + length]).get("__metadata__", {}).items()}
    except FileNotFoundError:
        raise ValueError(f"There is no {path}. Try `git checkout -- data`, or its recipe, as data/README.md says.") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}. Try another file, or other rights for this one.") from None
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it cannot be read ({error}). Try `git checkout -- data`.") from None
    if facts.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{path} was written by a newer version of this course: its format is {facts['format']}, expected {FORMAT}. "
                         "Try to update, `git pull`.")
    if any(t.dtype != torch.float16 for t in tensors.values()):       # the hash does not hold it: the same bytes, other numbers
        raise ValueError(f"{path} is damaged: its weights are not float16. Try `git checkout -- data`.")
    found, expected = fingerprint(tensors, facts), str(facts.get("sha256"))
    if found != expected:
        raise ValueError(f"{path} is damaged: its SHA-256 is {found[:12]}..., expected {expected[:12]}.... Try `git checkout -- data`.")
    check_finite(tensors, path)
    missing = [key for key in needed if key not in facts]
    if missing:
        raise ValueError(f"{path} holds another network: it does not say its {missing[0]}.")
    return tensors, facts


def set_weights(net, tensors, facts, path):
    """Puts what read_weights gave into a network, in float32, and the facts beside it as `net.facts` -> the network."""
    own = {name: t for name, t in net.state_dict().items() if name.startswith("normalize")}
    try:
        net.load_state_dict(own | {name: t.float() for name, t in tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network: {error}") from None
    net.facts = facts
    return net
