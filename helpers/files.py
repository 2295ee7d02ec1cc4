"""Files that are whole or not there, and downloads that end."""

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.errors import one_line


@contextmanager
def whole(path, *, hint="an existing folder, with room on its disk"):
    """Gives a path to write to, in a folder beside; what was written takes the place of `path` (a file, or a new folder) at the end.

    After an error or an interrupt, on a full disk, where two write at once or one is killed, `path` is what it was before, or all new.
    Raises ValueError, which says why, where it cannot be written.
    """
    real = Path(os.path.realpath(path))         # a link stays a link
    try:
        if real.exists() and not real.is_file():        # /dev/stdout can only be written to; a folder says for itself that it can't
            yield real
            return
        if real.exists():
            open(real, "r+b").close()       # what may not be written is not replaced either
        with TemporaryDirectory(prefix=".half-", dir=real.parent) as folder:
            yield Path(folder, real.name)
            os.replace(Path(folder, real.name), real)
    except Exception as error:      # of the file system, or of whoever writes: Pillow, PyTorch, safetensors
        raise ValueError(f"Cannot write {str(path)!r}: {one_line(error)}. Try {hint}.") from error


def write_text(path, text):
    """Writes a text, whole or not at all; see `whole`."""
    with whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def patience(seconds=60):
    """While it is open, a server that says nothing for so long is given up with a TimeoutError; else Python waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before or seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
