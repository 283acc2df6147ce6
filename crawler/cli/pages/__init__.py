"""Text pages: one LoRA, two LoRAs side by side, statistics of fields, a suggested recipe."""
