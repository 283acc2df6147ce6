"""The sandbox: what it makes up, what it lists, what it hands out, how it misbehaves."""
