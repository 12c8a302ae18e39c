"""The FlowFace alignment network (seeds/001 §3.1): where each point of the canonical atlas lies in an image."""
