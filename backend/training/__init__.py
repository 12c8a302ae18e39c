"""How the alignment network learns: rendered and real pictures, augmentation, losses and the training loop."""
