"""Benchmarks, scorers, judges and statistics; the stages `mgsm`, `baseline`, `alpaca` and `compare`."""
