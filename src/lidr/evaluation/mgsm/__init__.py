"""Accuracy on MGSM's problems."""
