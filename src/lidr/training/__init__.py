"""How stage `train` computes: rows of token ids, the shared prompt, and TRL's trainer on them."""
