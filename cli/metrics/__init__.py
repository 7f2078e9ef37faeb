"""`tejido metrics`: what monitoring reads."""
