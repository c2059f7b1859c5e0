"""The audit log: who did what to what. Write with `owui.audit.record.record`."""
