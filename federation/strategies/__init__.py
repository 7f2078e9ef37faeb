"""federation/strategies."""
