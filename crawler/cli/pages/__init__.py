"""One LoRA on a page that a person enjoys reading."""
