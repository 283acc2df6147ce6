"""The stages of a crawl on one machine, and the walk they follow."""
