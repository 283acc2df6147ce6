"""One module or package per trainer, each with `matches` and `read`."""
