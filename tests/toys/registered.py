"""The one line that each toy takes, and the runner of a backend that has them."""

from __future__ import annotations

from backend.alignment.registry import register_aligner
from backend.export.registry import register_export, register_folder_export
from backend.pipeline.runners import run_job as run_job
from backend.pipeline.runners import warm_up as warm_up
from tests.toys import aligner, export, folder_export


def register() -> None:
    """Let jobs name the toys."""
    register_aligner(aligner.INFO, lambda head, _weights: aligner.ToyAligner(head))
    register_export(export.INFO, export.jaw_lines)
    register_folder_export(
        folder_export.NAME, folder_export.TITLE, folder_export.HELP, folder_export.jaw_files, several_takes=True
    )


register()
