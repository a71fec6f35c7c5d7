"""The keys of each engine in params.yaml, one module per engine, which `lidr.config.engines` discovers."""
