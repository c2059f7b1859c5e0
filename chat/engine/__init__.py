"""One turn as events: retrieval, prompt, model. Knows no socket, no template, no ORM."""
