"""Read the database for commands."""
