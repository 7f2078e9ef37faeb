"""`tejido index`: the vectors that searches look in."""
