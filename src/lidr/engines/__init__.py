"""What generates text: `base` is the contract, every other module one engine, with its keys in `settings`."""

import lidr.config  # noqa: F401 - first, since the engines' settings are a part of it
