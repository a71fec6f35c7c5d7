"""What measures a model: a package a benchmark, judges and statistics."""
