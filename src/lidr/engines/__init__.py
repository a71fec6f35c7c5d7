"""What generates text: `base` is the contract, every other module one engine, with its keys in `settings`."""

import lidr.config  # first, since the engines' settings are a part of it
