"""catalog/sources."""
