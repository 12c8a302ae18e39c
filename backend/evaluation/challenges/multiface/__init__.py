"""The Multiface benchmark of seeds/001 §3.3: dense motion in the image and shape, by region, of tracked sequences."""
