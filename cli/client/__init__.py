"""`tejido client`: who takes part."""
