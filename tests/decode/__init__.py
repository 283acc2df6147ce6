"""What is decoded from bytes: pure, without files or network."""
