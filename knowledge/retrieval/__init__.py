"""Finding the chunks that answer a question, among those that the person may read."""
