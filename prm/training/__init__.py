"""From labels or preferences to a checkpoint: examples, losses, the trainer, and the model card."""
