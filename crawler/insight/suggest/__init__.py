"""A starting recipe, made from what well-liked LoRAs used."""
