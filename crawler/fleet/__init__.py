"""Several processes that fetch into one PostgreSQL database."""
