"""The query language: from the text of a condition to a checked tree and its SQL."""
