"""What the rooms of retention share."""

from __future__ import annotations


class RetentionError(Exception):
    """Base of every error this package raises on purpose; its text tells the reader what to do."""
