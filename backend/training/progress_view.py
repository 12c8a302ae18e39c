"""The terminal's view of a running training."""

from __future__ import annotations

from rich.console import Console

from backend.terminal.steps_view import StepsView
from backend.training.validate import Accuracy

QUIET = 60.0  # seconds between lines where the output is no terminal


class TrainingView(StepsView):
    """One bar with the latest figures, and a line for every measurement."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, QUIET, 0.0)

    def on_step(self, step: int, steps: int, figures: dict[str, float]) -> None:
        """Called with how far the training is."""
        words = (
            f"loss {figures['loss']:.2f}  {figures['distance_px']:.1f} px  {figures['images_per_second']:.1f} images/s"
        )
        if self._task is None:
            self._task = self._progress.add_task("", total=steps)
        self._progress.update(self._task, description=words, completed=step)
        self._say_at_times(f"step {step} of {steps}: {words}")

    def on_accuracy(self, step: int, kind: str, accuracy: Accuracy) -> None:
        """Called with what a measurement came to."""
        who = {"dev": "rendered", "real": "real"}[kind]
        regions = ", ".join(f"{name} {value:.2f}" for name, value in accuracy.regions.items())
        self.say(
            f"step {step}, {who} people held out: {accuracy.nme:.2f} % of the inter-ocular distance ({regions}), "
            f"σ: rank correlation {accuracy.spearman:.2f}, calibration {accuracy.calibration:.2f}"
        )
