"""One module an area, for what belongs to no app."""
