"""Fine-tunes a pretrained encoder with a linear head."""
