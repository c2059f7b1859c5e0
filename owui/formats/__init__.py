"""How dates and numbers are written in each language, where Django writes them otherwise."""
