"""`tejido keys`: the keys that sign access tokens."""
