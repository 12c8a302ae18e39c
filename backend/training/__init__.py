"""The alignment network's training: rendered and real pictures, augmentation, losses and the training loop."""
