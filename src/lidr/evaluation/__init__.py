"""What measures a model: a package for each benchmark (registry.py finds them), judges, and statistics."""
