"""Pure steps over one document: sniff, extract, split, hash. No Django, no database, no network.

Imports nothing here on purpose: the child process that parses a file must not pay for what it does not use.
"""
