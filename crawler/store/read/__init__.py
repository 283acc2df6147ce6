"""Everything that reads rows for a command."""
