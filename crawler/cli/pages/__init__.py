"""Pages for a person: one LoRA, two side by side, fields, a suggested recipe."""
