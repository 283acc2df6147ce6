"""What can be made of what files say: recipes to train again, and comparisons."""
