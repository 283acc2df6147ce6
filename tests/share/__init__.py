"""Exports, held against the database that they are from."""
