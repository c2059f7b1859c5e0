"""HTML of chats: pages, and the fragments htmx asks for."""
