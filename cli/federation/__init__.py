"""`tejido federation`: train together."""
