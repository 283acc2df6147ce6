"""Starting recipes, learned from well-liked LoRAs."""
