"""Tests: pure, at the seams, and whole."""
