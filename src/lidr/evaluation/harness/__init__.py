"""Other abilities, by tasks of lm-evaluation-harness."""
