"""What generates text: `base` is the contract, every other module one engine."""
