"""Where each row came from, and whether that is so: `lidr audit show`, `trace`, `verify` and `card`.

- `state` reads what DVC recorded, and what has changed since;
- `verify` checks that the files on disk, the code, the parameters and the models are those of the record, and that
  the pairs follow from the answers; `rebuild` runs everything again from nothing; `differences` tells what came out
  otherwise, and why;
- `show` tells the history of one pair or drop, `trace` that of one MLflow run;
- `card` writes the pairs as a Hugging Face dataset with its card.

None of this makes an output of a stage: the audit of an iteration is `lidr.audit`.
"""
