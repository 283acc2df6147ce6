"""A crawl of a site on one machine: list, fetch, store."""
