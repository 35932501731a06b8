"""Data files become the examples of a run: reading, checking, mixing, and encoding with a held-out part."""
