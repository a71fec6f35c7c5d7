"""The keys of each engine in params.yaml, one module an engine, which `lidr.config.engines` finds by itself."""
