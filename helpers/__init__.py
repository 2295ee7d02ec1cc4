"""Small, tested helpers for the four notebooks. Start with images, nets and show."""
