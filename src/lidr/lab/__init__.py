"""The embedded world and its base model; imported only where `lab` is resolved as a source, model or judge."""
