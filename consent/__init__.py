"""Promises: who agreed to what, when, and the log that cannot be rewritten."""
