"""The page: a report, a read-only server, and the same answers for assistants."""
