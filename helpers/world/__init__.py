"""A small rendered world whose truth is known: solids, the renderer, and scenes with their masks and attributes."""
