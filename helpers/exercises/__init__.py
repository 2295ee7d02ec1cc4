"""Check answers to exercises, with a hint for each common mistake."""
