"""Store weights as float16 safetensors, with metadata and a checksum."""

import hashlib
import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

DATA = Path(__file__).parents[2] / "data"


def checksum(tensors, metadata):
    """Compute the SHA-256 of the names and bytes of tensors and of the metadata."""
    described = {key: metadata[key] for key in sorted(metadata) if key != "sha256"}
    digest = hashlib.sha256(json.dumps(described).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def write_weights(tensors, path, **metadata):
    """Write a state dict as float16, with its metadata as JSON and a checksum."""
    tensors = {name: t.half().contiguous() for name, t in tensors.items()}
    metadata = json.loads(json.dumps(metadata))     # as it will be read: tuples become lists
    metadata["sha256"] = checksum(tensors, metadata)
    save_file(tensors, path, {key: json.dumps(value) for key, value in metadata.items()})


def read_weights(path):
    """Read a file of `write_weights`: (tensors in float32, metadata).

    Raises ValueError if it is missing or damaged.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            metadata = {key: json.loads(value) for key, value in file.metadata().items()}
        intact = checksum(tensors, metadata) == metadata["sha256"]
    except Exception:       # no file, safetensors' own errors, JSON's, a missing key
        intact = False
    if not intact:
        raise ValueError(f"{path} is missing or damaged. Try `git checkout -- data`.")
    return {name: t.float() for name, t in tensors.items()}, metadata
