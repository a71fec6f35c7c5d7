"""Reading the final number out of a worked answer: scorer `robust`.

In the order in which a text passes through: `run_on` cuts, `writing` and `notation` normalise, `places` finds
a place, `statements` chooses among its numbers, and `numerals` parses. words.toml has the words of each language.
"""
