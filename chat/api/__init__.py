"""REST of chats and completions."""
