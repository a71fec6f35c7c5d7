"""Stage `pairs`: reward rules, filters, pairs and drops."""
