"""Functions that change rows."""
