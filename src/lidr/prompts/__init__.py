"""Stage `prompts` and the sources that it reads."""
