"""Evaluation: a package per benchmark (registry.py finds them), judges, and statistics."""
