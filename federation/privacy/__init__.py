"""Differential privacy of a run at the level of clients: clipping, noise, and what the rounds have cost."""
