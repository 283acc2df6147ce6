"""Results derived from decoded files: recipes, suggestions, statistics and comparisons."""
