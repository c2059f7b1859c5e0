"""REST: sign-in and people."""
