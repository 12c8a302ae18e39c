"""The exceptions that travel through the backend: what a user can mend, and what a user called off."""

from __future__ import annotations

from enum import StrEnum

from protocol.sentences import sayable


class ErrorCode(StrEnum):
    """Every code of a ``UserError`` that this backend makes: stable, machine-readable, and the same on the wire."""

    # footage and files
    BAD_FILE = "bad_file"
    BAD_OUTPUT = "bad_output"
    CACHE_FOLDER = "cache_folder"
    FILE_MISSING = "file_missing"
    FOOTAGE_EMPTY = "footage_empty"
    FOOTAGE_MISSING = "footage_missing"
    FOOTAGE_NO_IMAGES = "footage_no_images"
    FOOTAGE_NO_VIDEO = "footage_no_video"
    FOOTAGE_RELATIVE = "footage_relative"
    FOOTAGE_SIZES_DIFFER = "footage_sizes_differ"
    FOOTAGE_TOO_LARGE = "footage_too_large"
    FOOTAGE_UNREADABLE = "footage_unreadable"
    FRAMES_OUT_OF_RANGE = "frames_out_of_range"
    IMAGE_SIZE = "image_size"
    IMAGE_UNREADABLE = "image_unreadable"
    NAME_TAKEN = "name_taken"
    NO_FILE = "no_file"
    NO_FRAMES = "no_frames"
    OUTPUT_UNWRITABLE = "output_unwritable"
    TOO_FEW_FRAMES = "too_few_frames"
    TOO_LARGE = "too_large"

    # faces, views and cameras
    BAD_ALIGNMENT = "bad_alignment"
    BAD_CALIBRATION = "bad_calibration"
    BAD_CORRECTION = "bad_correction"
    BAD_EXPORT = "bad_export"
    BAD_MESH = "bad_mesh"
    BAD_UNIT = "bad_unit"
    CALIBRATION_IMAGE_SIZE = "calibration_image_size"
    CALIBRATION_MISSING = "calibration_missing"
    CALIBRATION_VIEWS = "calibration_views"
    DEFORM_REGION = "deform_region"
    FACES_AND_VIEWS = "faces_and_views"
    FACE_NOT_CHOSEN = "face_not_chosen"
    FACE_NOT_FOUND = "face_not_found"
    MESH_SIZE = "mesh_size"
    NEUTRAL_OUTSIDE = "neutral_outside"
    NO_FACE = "no_face"
    OTHER_TOPOLOGY = "other_topology"
    RIG_SCALE = "rig_scale"
    UNKNOWN_VIEW = "unknown_view"
    VIEWS_APART = "views_apart"
    VIEWS_DISAGREE = "views_disagree"

    # live
    CAMERAS_UNKNOWN = "cameras_unknown"
    CAMERA_MISSING = "camera_missing"
    CAMERA_UNREADABLE = "camera_unreadable"
    NOT_CALIBRATED = "not_calibrated"

    # heads
    ANNY_MISSING = "anny_missing"
    FLAME_FIELD = "flame_field"
    FLAME_MISSING = "flame_missing"
    FLAME_UNREADABLE = "flame_unreadable"
    FLAME_UNSAFE = "flame_unsafe"
    GNM_INCONSISTENT = "gnm_inconsistent"
    GNM_MISSING = "gnm_missing"
    GNM_UNREADABLE = "gnm_unreadable"
    HEAD_BUILT_IN = "head_built_in"
    HEAD_CHANGED = "head_changed"
    HEAD_EXISTS = "head_exists"
    HEAD_INCONSISTENT = "head_inconsistent"
    HEAD_MISSING = "head_missing"
    HEAD_NAME = "head_name"
    HEAD_SCALE = "head_scale"
    HEAD_SOURCE = "head_source"
    HEAD_UNKNOWN = "head_unknown"
    HEAD_UNREADABLE = "head_unreadable"
    HEAD_VERSION = "head_version"
    ICT_INCONSISTENT = "ict_inconsistent"
    ICT_MISSING = "ict_missing"
    ICT_UNREADABLE = "ict_unreadable"
    LIFT_FAILED = "lift_failed"
    NO_OPENGL = "no_opengl"
    OTHER_HEAD = "other_head"
    REGISTRATION_POOR = "registration_poor"
    RENDER_FAILED = "render_failed"
    SMPLX_MISSING = "smplx_missing"
    UNCLEAR_LICENCE = "unclear_licence"
    UNKNOWN_HEAD_KIND = "unknown_head_kind"

    # aligners and their training
    BAD_CHECKPOINT = "bad_checkpoint"
    BAD_CONFIG = "bad_config"
    BAD_SHARD = "bad_shard"
    BAD_SPLIT = "bad_split"
    BAD_WEIGHTS = "bad_weights"
    NO_BACKGROUNDS = "no_backgrounds"
    NO_CUDA = "no_cuda"
    NO_PHOTOS = "no_photos"
    NO_POOL = "no_pool"
    NO_SPLIT = "no_split"
    OTHER_POOL = "other_pool"
    OTHER_RUN = "other_run"
    RUN_EXISTS = "run_exists"
    UNKNOWN_ALIGNER = "unknown_aligner"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_ENCODER = "unknown_encoder"
    UNKNOWN_WEIGHTS = "unknown_weights"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_UNUSED = "weights_unused"

    # options of the command line
    BAD_BOX = "bad_box"
    BAD_FRAMES = "bad_frames"
    BAD_LENS = "bad_lens"
    BAD_NUMBERS = "bad_numbers"
    BAD_OFFSET = "bad_offset"
    BAD_OPTION = "bad_option"
    BAD_RESULTS_OPTION = "bad_results_option"

    # jobs and the backend
    BACKEND_GONE = "backend_gone"
    BACKEND_START = "backend_start"
    BAD_ENDPOINT = "bad_endpoint"
    BAD_JOB = "bad_job"
    BAD_KEYS = "bad_keys"
    BAD_TRACK = "bad_track"
    BUSY = "busy"
    CANCELLED = "cancelled"
    DISK_FULL = "disk_full"
    DISK_GONE = "disk_gone"
    DISK_READ_ONLY = "disk_read_only"
    IN_USE = "in_use"
    INTERNAL = "internal"
    INTERRUPTED = "interrupted"
    JOBS_FOLDER = "jobs_folder"
    NO_BACKEND = "no_backend"
    NO_BLENDER = "no_blender"
    NO_RESULT = "no_result"
    NOT_ALLOWED = "not_allowed"
    NOT_LOOPBACK = "not_loopback"
    NOT_MINE = "not_mine"
    NOT_OVER = "not_over"
    OUT_OF_MEMORY = "out_of_memory"
    QUOTA = "quota"
    READER_DIED = "reader_died"
    SCENE = "scene"
    TOKEN_TAKEN = "token_taken"
    UNKNOWN_EXPORT = "unknown_export"
    UNKNOWN_FILE = "unknown_file"
    UNKNOWN_JOB = "unknown_job"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_KIND = "unknown_kind"
    UPLOAD_DAMAGED = "upload_damaged"
    UPLOAD_UNKNOWN = "upload_unknown"
    WORKER_BROKEN = "worker_broken"
    WORKER_DIED = "worker_died"

    # batches and clusters
    BAD_LIST = "bad_list"
    CLUSTER_GONE = "cluster_gone"
    NO_CLUSTER = "no_cluster"
    NO_RAY = "no_ray"
    OTHER_VERSION = "other_version"

    # evaluation, timing and the demo
    BAD_RESULTS = "bad_results"
    CHALLENGE_LAYOUT = "challenge_layout"
    NO_CLIPS = "no_clips"
    NO_DEMO_CLIP = "no_demo_clip"
    NO_MATPLOTLIB = "no_matplotlib"
    NO_PORTRAIT = "no_portrait"
    NOTHING_TO_EVALUATE = "nothing_to_evaluate"
    RESULTS_MISSING = "results_missing"
    UNKNOWN_TRACKER = "unknown_tracker"


class UserError(Exception):
    """Something a user can understand and mend.

    ``code`` is an ``ErrorCode``, or what another backend or the protocol calls it; ``message`` is one clear sentence
    that names the file, frame or field and what was expected, ``hint`` says what to do.
    """

    def __init__(self, code: ErrorCode | str, message: str, hint: str = "") -> None:
        super().__init__(sayable(message))
        self.code = code
        self.message = sayable(message)
        self.hint = sayable(hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Cancelled(Exception):  # noqa: N818 - it is not an error
    """Raised inside long work once its ``should_cancel`` says so."""
