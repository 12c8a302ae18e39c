"""The alignment network's dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Encoder = Literal["b0", "b1", "b2", "b3", "b4", "b5", "face_mesh"]
Convolutions = Literal["full", "separable"]


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes the network's shapes; the defaults are the paper's (seeds/001 §4, RAFT-L's own numbers).

    Raises ValueError where the numbers contradict each other.
    """

    encoder: Encoder = "b5"  # SegFormer's MiT by size, or "face_mesh", the trunk of MediaPipe's landmark network
    image_size: int = 512  # D_img: side of the square crop, pixels
    uv_size: int = 64  # D_uv: side of the UV maps and of the image features, cells
    iterations: int = 3  # N_iter
    features: int = 128  # channels of Z_img and Z_uv
    decoder: int = 768  # channels in which SegFormer's head joins the encoder's four stages
    textures: int = 32  # channels of each of the four textures of an embedding module
    hidden: int = 128  # channels of h
    context: int = 128  # channels of c
    motion: int = 128  # channels of the motion encoder's output
    levels: int = 4  # of the correlation pyramid
    radius: int = 4  # of the look-up around each position, cells of its level
    update: Convolutions = "full"  # RAFT-L's, or "separable": depthwise and 1×1 in their place, one pass of the GRU

    def __post_init__(self) -> None:
        if self.image_size % 32:
            raise ValueError(f"image_size is {self.image_size}; SegFormer's last stage needs a multiple of 32")
        if self.encoder == "face_mesh" and self.image_size % 64:
            raise ValueError(f"image_size is {self.image_size}; the last stage of face_mesh needs a multiple of 64")
        if self.image_size // 4 % self.uv_size:
            raise ValueError(
                f"uv_size is {self.uv_size}, but must divide a quarter of image_size ({self.image_size // 4})"
            )
        if self.uv_size % 8:
            raise ValueError(f"uv_size is {self.uv_size}; the coarsest texture needs it to be a multiple of 8")
        if self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}, but must be at least 1")
