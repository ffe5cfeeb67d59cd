"""Cameras to figures: video, vision, zone visits, the gate, and what may be shown."""
