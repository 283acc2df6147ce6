"""One file per trainer, each with `matches` and `read`."""
