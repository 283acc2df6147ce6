"""The sites that LoRAs come from, and files of this machine."""
