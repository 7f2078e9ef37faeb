"""catalog/index."""
