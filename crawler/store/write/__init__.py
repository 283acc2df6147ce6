"""Everything that changes rows."""
