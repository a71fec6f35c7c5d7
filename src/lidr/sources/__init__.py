"""Prompts from outside: `files` on this machine, datasets of the `hub`; and which of them ask for a translation."""
