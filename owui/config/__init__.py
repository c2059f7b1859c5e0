"""Stored settings. Declare with `owui.config.registry`, read with `Section.load()`."""
