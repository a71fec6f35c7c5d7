"""Language Imbalance Driven Rewarding: better in many languages with no human labels."""

__version__ = "0.2.0"
