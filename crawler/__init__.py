"""lora-crawl: how the LoRAs on Civitai were trained, as a database."""
