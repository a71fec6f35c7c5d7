"""The stages of one iteration, a module each; they meet in files and never import each other."""
