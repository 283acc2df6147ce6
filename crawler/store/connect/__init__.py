"""Databases opened, checked, upgraded and locked."""
