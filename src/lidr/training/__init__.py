"""How stage `train` computes: rows of token ids, how they are laid out, and TRL's trainer on them."""
