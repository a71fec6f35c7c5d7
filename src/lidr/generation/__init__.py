"""Stages `generate` and `translate`: the model's own texts, written shard by shard."""
