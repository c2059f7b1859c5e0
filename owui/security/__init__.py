"""Security status: one automated check for every row of the hardening checklist (docs/security.md)."""
