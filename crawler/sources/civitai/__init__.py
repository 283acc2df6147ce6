"""Civitai as a source: its list, its JSON, its downloads and its refusals."""
