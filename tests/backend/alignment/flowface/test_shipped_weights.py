"""The weights in the repository on real people: the very file that whoever installs FlowFace aligns with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from backend.alignment.flowface.aligner import FlowFaceAligner
from backend.alignment.flowface.weights import SHIPPED, shared_network
from backend.alignment.flowface.weights_file import read_metadata
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.footage import read_image
from backend.head_model.dense_points import EYE_POINTS
from backend.head_model.library import load_head
from backend.observations import Alignment

Image = NDArray[np.uint8]

LARGEST = 40_000_000  # bytes; what the repository may carry


@pytest.fixture(scope="module")
def flowface() -> FlowFaceAligner:
    return FlowFaceAligner(shared_network(SHIPPED, "cpu"), load_head("open"))


def found(aligner: FlowFaceAligner | LandmarkAligner, image: Image) -> Alignment:
    box = max(BlazeFaceFinder().find(image), key=lambda box: box.area)
    alignment = aligner.align([image], [box])[0]
    assert alignment is not None
    return alignment


def test_the_file_is_small_and_says_what_it_is() -> None:
    assert SHIPPED.stat().st_size < LARGEST
    about = read_metadata(SHIPPED)
    assert {"training", "step", "sigma_scale"} <= about.keys()
    assert (SHIPPED.parent / "MODEL_CARD.md").is_file()


def test_its_numbers_are_as_precise_as_half_precision_can_be() -> None:
    """Seven of eight of float16's numbers lie between those of bfloat16, through which these have not gone."""
    stored, network = load_file(SHIPPED), shared_network(SHIPPED, "cpu").state_dict()
    floats = {name: tensor for name, tensor in stored.items() if tensor.is_floating_point()}
    assert {tensor.dtype for tensor in floats.values()} == {torch.float16}
    for name, tensor in floats.items():
        assert torch.equal(network[name], tensor.float()), name
        if tensor.numel() >= 32:
            between = tensor.bfloat16().float() != tensor.float()
            assert between.float().mean() > 0.6, name


def test_the_demo_portraits_eyes_are_where_mediapipe_sees_them(
    flowface: FlowFaceAligner, aligner: LandmarkAligner
) -> None:
    from skimage.data import astronaut

    image = np.asarray(astronaut(), np.uint8)
    own, other = found(flowface, image), found(aligner, image)
    eyes = other.mu[list(EYE_POINTS)]
    apart = np.linalg.norm(other.mu[33] - other.mu[263])
    distance = np.linalg.norm(own.mu[: len(EYE_POINTS)] - eyes, axis=1)
    assert distance[:8].mean() < 0.06 * apart  # lids and corners


def test_every_point_has_its_own_uncertainty(flowface: FlowFaceAligner) -> None:
    """Lids are found more surely than ears under hair."""
    from skimage.data import astronaut

    own, head = found(flowface, np.asarray(astronaut(), np.uint8)), load_head("open")
    corners = head.triangles[head.landmarks[flowface.point_sets[0].name].triangle]
    lids, ears = (np.median(own.sigma[head.regions[name][corners].all(axis=1)]) for name in ("lids", "ears"))
    assert ears > 2.5 * lids  # 5.4 and 0.95 px


def test_nobody_is_seen_in_noise(flowface: FlowFaceAligner) -> None:
    from skimage.data import astronaut

    box = max(BlazeFaceFinder().find(np.asarray(astronaut(), np.uint8)), key=lambda box: box.area)
    noise = np.random.default_rng(4).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    assert flowface.align([noise], [box]) == [None]


def test_photographed_people_are_aligned_near_mediapipe(
    flowface: FlowFaceAligner, aligner: LandmarkAligner, shared_data: Path
) -> None:
    distances = []
    for path in sorted((shared_data / "photos" / "london_neutral").glob("*.jpg"))[:6]:
        image = np.asarray(read_image(path), np.uint8)
        own, other = found(flowface, image), found(aligner, image)
        apart = np.linalg.norm(other.mu[33] - other.mu[263])
        distances.append(np.linalg.norm(own.mu[:8] - other.mu[list(EYE_POINTS[:8])], axis=1).mean() / apart)
    assert np.mean(distances) < 0.05
