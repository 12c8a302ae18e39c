"""``flowface benchmark fit``: the solver against the paper's optimiser, and how time and memory grow with a take."""
