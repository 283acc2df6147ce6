"""What the tensor names, shapes and dtypes of a file say about it."""
