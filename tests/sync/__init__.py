"""Crawls of a sandbox into real databases."""
