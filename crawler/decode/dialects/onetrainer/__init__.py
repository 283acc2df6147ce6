"""The metadata of OneTrainer."""
