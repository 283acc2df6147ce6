"""The sandbox: what it makes up, what it answers, how it runs."""
