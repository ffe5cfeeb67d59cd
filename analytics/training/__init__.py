"""Recipes: how the project's own weights were made. Nothing at run time imports from here."""

from analytics.quiet import quiet_parts

quiet_parts()  # before any module here imports onnxruntime, which reports home unless told not to
