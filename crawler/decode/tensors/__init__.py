"""Facts from the tensor names, shapes and dtypes of a file."""
