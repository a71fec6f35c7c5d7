"""Compares all models of a pipeline: tests, tables, plots and pages."""
