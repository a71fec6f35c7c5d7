"""What the data of an iteration is, and where everything came from."""
