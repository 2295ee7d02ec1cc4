"""Many pictures, some at a time: as many as memory holds."""

import torch

from helpers.errors import check_count

SIGNS = "allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED", "bad_alloc"       # how CPUs, GPUs and libraries say it


def in_batches(run, items, batch):
    """Yields run(part) for parts of `batch` items each, in their order: slices of a tensor, or of a list.

    Where memory does not suffice, the part is tried again by halves, and so is what follows; a printed line says so.
    Raises MemoryError where it does not suffice for a single item.
    """
    check_count(batch, "as the size of a batch")
    first = 0
    while first < max(len(items), 1):
        part = items[first:first + int(batch)]
        try:
            found = run(part)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(sign in str(error) for sign in SIGNS):
                raise
            if len(part) == 1:
                raise MemoryError("Not enough memory, even for one at a time. Try smaller pictures, or fewer of them.") from error
            batch = len(part) // 2
            print(f"Not enough memory for {len(part)} at a time: going on with {batch}.", flush=True)
        else:
            yield found
            first += len(part) or 1
