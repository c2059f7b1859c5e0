"""Provisioning as code: people, groups, grants, models, bases and settings from one file, and back into it."""
