"""The network learns: eight rendered heads by heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.head_model.appearance import default_colors
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.render import HeadRenderer
from backend.training.atlas_points import atlas_points
from backend.training.losses import total_loss

SIDE, HEADS = 64, 8
FOCAL = 3.0 * SIDE
AWAY = 0.62  # metres: the face fills about two thirds of the picture
CONFIG = NetworkConfig(
    encoder="b0", image_size=SIDE, uv_size=16, iterations=3, features=32, decoder=32, textures=16, hidden=32,
    context=32, motion=32, levels=2, radius=2,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pictures:
    images: torch.Tensor  # (B,3,SIDE,SIDE) in [0,1]
    mu: torch.Tensor  # (B,V,2) pixels
    eyes: NDArray[np.float64]  # (B,) pixels between the outer corners of the eyes


def _pictures(head: HeadModel) -> Pictures:
    random = np.random.default_rng(5)
    colors, middle = default_colors(head), head.template[head.regions["face"]].mean(axis=0)
    points = head.landmarks["mediapipe478"]
    canthi = np.array([33, 263])
    images, mu, eyes = [], [], []
    with HeadRenderer((SIDE, SIDE)) as renderer:
        for _ in range(HEADS):
            turn = Rotation.from_euler("yxz", random.normal(0, (0.3, 0.15, 0.1)))
            shape = head.neutral(random.normal(0, 1, len(head.shape_basis)))
            moved = turn.apply(shape - middle) * (1, -1, -1) + (*random.normal(0, 0.01, 2), AWAY)
            picture = renderer.render(
                moved, head.triangles, colors, focal_px=FOCAL, principal_point=(SIDE / 2, SIDE / 2),
                world_to_camera=np.eye(3, 4),
            )  # fmt: skip
            seen = moved[:, :2] / moved[:, 2:] * FOCAL + SIDE / 2
            corners = seen[head.triangles[points.triangle[canthi]]].mean(axis=1)
            images.append(picture)
            mu.append(seen)
            eyes.append(np.linalg.norm(np.diff(corners, axis=0)))
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    return Pictures(stacked, torch.from_numpy(np.stack(mu)).float(), np.array(eyes))


@pytest.mark.slow
def test_eight_heads_are_learnt_to_a_few_hundredths_of_the_eyes_distance() -> None:
    torch.manual_seed(0)
    head = load_head()
    face = np.flatnonzero(head.regions["face"])
    pictures, points = _pictures(head), atlas_points(head)
    nu, mu = torch.from_numpy(points.nu[face]), pictures.mu[:, face]
    network = FlowFaceNetwork(CONFIG).train()
    steps = 300
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps, pct_start=0.1)
    nothing = torch.zeros(HEADS, 2, 16, 16), torch.zeros(HEADS, 16, 16)
    for _ in range(steps):
        loss = total_loss(network(pictures.images, nu), mu, torch.ones(mu.shape[:2]), *nothing)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        answer = network.eval()(pictures.images, nu)[-1]
    error = (answer.mu - mu).norm(dim=-1).numpy()
    # 0.023 when this was written, after a minute of one core.
    assert (error.mean(axis=1) / pictures.eyes).mean() < 0.035
    # The uncertainty is that of the errors, within what 300 steps can teach: σ of a circular Gaussian is d/√2.
    assert 0.3 < float(answer.sigma.mean()) / (np.sqrt((error**2).mean()) / np.sqrt(2)) < 3
