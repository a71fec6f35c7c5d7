"""How stage `train` computes: rows of token ids, what they share, LoRA's products, and TRL's trainer on them."""
