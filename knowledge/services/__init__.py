"""Every write about knowledge bases and documents, by subject: `bases`, `links`, `documents`, `files`, `reindex`."""
