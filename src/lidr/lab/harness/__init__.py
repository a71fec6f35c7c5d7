"""The lab's tasks for lm-evaluation-harness: the YAML files in this folder; `items` makes their items."""
