"""What jobs take on the backend's disk, and how much of them is kept. Knows nothing of bpy."""

from __future__ import annotations

from .vendor import messages as m


def storage_in_words(held: m.StorageReply) -> str:
    """A sentence on what jobs take on disk."""
    jobs = f"{held.jobs} job{'' if held.jobs == 1 else 's'}"
    return f"{jobs} in {held.folder}: {held.bytes / 1e9:.1f} GB; {held.bytes_free / 1e9:.0f} GB are free."


def options(keep_gb: float, keep_days: int) -> list[str]:
    """The options of ``flowface serve`` that bound what is kept of jobs; 0 keeps all."""
    size = ["--keep-gb", f"{keep_gb:g}"] if keep_gb > 0 else []
    return [*size, *(["--keep-days", str(keep_days)] if keep_days > 0 else [])]


def limits_in_words(keep_gb: float, keep_days: int) -> str:
    """A sentence on how much of jobs is kept, and for how long."""
    bounds = [f"up to {keep_gb:g} GB"] if keep_gb > 0 else []
    bounds += [f"for {keep_days} day{'' if keep_days == 1 else 's'}"] if keep_days > 0 else []
    return f"Kept: {', '.join(bounds)}." if bounds else "All are kept."
