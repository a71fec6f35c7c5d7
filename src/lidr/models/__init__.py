"""The base model's snapshot, adapters, fingerprints and loading."""
