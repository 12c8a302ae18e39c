"""``flowface benchmark align``: how long the alignment network takes for an image, by its size and on what."""
