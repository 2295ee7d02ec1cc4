"""Small, tested helpers for the notebooks. Start with images, nets and show."""
