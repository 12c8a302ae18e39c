"""MediaPipe's face mesh network as a plain function: square crops in, 478 points and a presence score out.

The wheel's own ``FaceMesh`` hides the crop, the presence score and its memory of the last frame. The same models run
here in a graph of our own, on crops made here: anti-aliased, with pixel centres at half-integers, and without memory.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import calculator_graph, resource_util
from numpy.typing import NDArray

from backend.alignment.crop import CROP, Crop

POINTS = 478

RIGHT_OUTER_CANTHUS, LEFT_OUTER_CANTHUS = 33, 263  # the subject's

_GRAPH = """
input_stream: "image"
output_stream: "landmarks"
output_stream: "presence"
node {
  calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:input"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 192 output_tensor_height: 192 output_tensor_float_range { min: 0.0 max: 1.0 } } }
}
node {
  calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:resolver"
  options { [mediapipe.TfLiteCustomOpResolverCalculatorOptions.ext] { use_gpu: false } }
}
node {
  calculator: "InferenceCalculator" input_side_packet: "OP_RESOLVER:resolver"
  input_stream: "TENSORS:input" output_stream: "TENSORS:output"
  options { [mediapipe.InferenceCalculatorOptions.ext] {
    model_path: "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite"
    delegate { xnnpack { num_threads: 1 } } } }
}
node {
  calculator: "SplitTensorVectorCalculator"
  input_stream: "output" output_stream: "landmark_tensors" output_stream: "presence_tensor"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 } } }
}
node {
  calculator: "TensorsToFaceLandmarksWithAttention"
  input_stream: "TENSORS:landmark_tensors" output_stream: "LANDMARKS:landmarks"
}
node {
  calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:presence_tensor" output_stream: "FLOAT:presence"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } }
}
"""


def around_points(points: NDArray[np.float64]) -> Crop:
    """The crop that the network was trained for: 1.5 × the longer side of all points' upright box, eyes level."""
    low, high = points.min(axis=0), points.max(axis=0)
    eyes = points[LEFT_OUTER_CANTHUS] - points[RIGHT_OUTER_CANTHUS]
    centre = (low + high) / 2
    return Crop(
        float(centre[0]), float(centre[1]), 1.5 * float((high - low).max()), float(np.arctan2(eyes[1], eyes[0]))
    )


class FaceMeshNetwork:
    """The attention mesh (468 surface points and 10 iris points). Not safe to call from two threads at once.

    ``lanes`` copies of the network run side by side, so that several crops of one image share the cores.
    """

    def __init__(self, lanes: int = 1) -> None:
        resource_util.set_resource_dir(str(Path(mp.__file__).parent.parent))
        self._lanes = [_Lane() for _ in range(lanes)]

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (B,478,3) in crop coordinates (0…192; z grows away from the camera) and presence (B,) in 0…1."""
        points = np.empty((len(crops), POINTS, 3))
        presence = np.empty(len(crops))
        for start in range(0, len(crops), len(self._lanes)):
            busy = list(zip(self._lanes, range(start, len(crops)), strict=False))
            for lane, index in busy:
                lane.begin(crops[index])
            for lane, index in busy:
                points[index], presence[index] = lane.end()
        return points, presence

    def close(self) -> None:
        """Stop the graphs' threads."""
        for lane in self._lanes:
            lane.close()


class _Lane:
    def __init__(self) -> None:
        self._graph = calculator_graph.CalculatorGraph(graph_config=_GRAPH)
        self._packets: dict[str, object] = {}
        self._lock = threading.Lock()
        for name in ("landmarks", "presence"):
            self._graph.observe_output_stream(name, self._received, False)
        self._graph.start_run({})
        self._time = 0

    def _received(self, name: str, packet: object) -> None:
        with self._lock:
            self._packets[name] = packet

    def begin(self, crop: NDArray[np.uint8]) -> None:
        self._time += 1
        self._packets.clear()
        frame = packet_creator.create_image_frame(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(crop))
        self._graph.add_packet_to_input_stream("image", frame.at(self._time))

    def end(self) -> tuple[NDArray[np.float64], float]:
        self._graph.wait_until_idle()
        landmarks = packet_getter.get_proto(self._packets["landmarks"]).landmark
        points = np.array([(p.x, p.y, p.z) for p in landmarks], np.float64) * CROP
        return points, float(packet_getter.get_float(self._packets["presence"]))

    def close(self) -> None:
        self._graph.close_all_packet_sources()
        self._graph.wait_until_done()
