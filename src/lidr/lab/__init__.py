"""The synthetic tasks and their base model; imported only where `lab` is resolved as a source, model or judge."""
