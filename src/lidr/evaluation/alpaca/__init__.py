"""Win rate on X-AlpacaEval's instructions."""
