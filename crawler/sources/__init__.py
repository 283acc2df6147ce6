"""The sites that LoRAs come from, one file each."""
