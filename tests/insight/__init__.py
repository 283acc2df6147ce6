"""Recipes and comparisons."""
