"""Answers on stdout, everything else on stderr."""
