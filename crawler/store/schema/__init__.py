"""The tables, their column types, and the registry of the columns of `loras`."""
