"""A recipe for sd-scripts, made from what a file says about its training."""
