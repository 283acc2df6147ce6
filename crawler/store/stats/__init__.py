"""Statistics over many rows, computed by the database."""
