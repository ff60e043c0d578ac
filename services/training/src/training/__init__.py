"""Weir training: from labelled text to a model package that serves itself."""
