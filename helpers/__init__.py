"""Small, tested helpers for the notebooks. Start with images, networks, and figures."""
