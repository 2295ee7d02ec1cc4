"""Files that are whole or not there, and downloads that end."""

import os
import shutil
import socket
import time
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
    path = Path(path)
    try:
        if path.exists() and not path.is_file():        # /dev/stdout can only be written to; a folder says for itself that it can't
            yield path
            return
        real = Path(os.path.realpath(path))     # a link stays a link
        if real.exists():
            open(real, "r+b").close()           # what may not be written is not replaced either
        with TemporaryDirectory(prefix=".half-", dir=real.parent) as folder:
            beside = Path(folder, path.name)
            yield beside
            if real.exists():
                shutil.copymode(real, beside)
            replace(beside, real)
    except (TypeError, LookupError, AttributeError, MemoryError):       # mistakes in what is written, which say so themselves
        raise
    except Exception as error:      # of the file system, or of whoever writes: Pillow, PyTorch, safetensors
        raise ValueError(f"Cannot write {str(path)!r}: {one_line(error)}. Try {hint}.") from error


def replace(source, target):
    """os.replace; on Windows again for a second, where another program has the file open."""
    for pause in (0.05, 0.2, 0.75):
        try:
            return os.replace(source, target)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause)
    os.replace(source, target)


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
