"""The lab's own tasks for lm-evaluation-harness: the YAML files in this folder, whose items `items` makes."""
