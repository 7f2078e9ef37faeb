"""`tejido session`: who is logged in."""
