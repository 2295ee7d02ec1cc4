"""Weights in a file: float16 safetensors, with the facts about them and a hash in the metadata."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file


def fingerprint(tensors, facts):
    """SHA-256 of the names and bytes of a state dict, and of the facts about it but the fingerprint itself."""
    digest = hashlib.sha256(json.dumps({key: facts[key] for key in sorted(facts) if key != "sha256"}).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def write_weights(tensors, path, **facts):
    """Writes a state dict as float16 safetensors; the facts about it and a hash go into the metadata as JSON."""
    tensors = {name: t.half().contiguous() for name, t in tensors.items()}
    facts = json.loads(json.dumps(facts))       # as they will be read: tuples become lists
    save_file(tensors, path, metadata={key: json.dumps(v) for key, v in (facts | {"sha256": fingerprint(tensors, facts)}).items()})


def read_weights(path):
    """A file of write_weights -> (tensors, facts). Raises ValueError if it is missing or damaged."""
    if not Path(path).exists():
        raise ValueError(f"There is no {path}. Try `git checkout -- data`, or its recipe, as data/README.md says.")
    try:
        with safe_open(path, "pt") as file:
            facts = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged: it cannot be read ({error}). Try `git checkout -- data`.") from None
    found, expected = fingerprint(tensors, facts), str(facts.get("sha256"))
    if found != expected:
        raise ValueError(f"{path} is damaged: its SHA-256 is {found[:12]}..., expected {expected[:12]}.... Try `git checkout -- data`.")
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
