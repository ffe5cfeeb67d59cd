"""Recipes: how the project's own weights were made. Nothing at run time imports from here."""
