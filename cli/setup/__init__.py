"""`tejido setup`: what a deployment in containers runs before its services start."""
