"""REST: files, knowledge bases, retrieval."""
