"""From the bytes of a header to typed facts. Pure: no IO, nothing but values in and out."""
