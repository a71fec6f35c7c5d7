"""All models side by side: tables, tests, plots and pages."""
