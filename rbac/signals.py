"""One signal: rights changed, ask again. Lower code sends it without knowing who holds sockets open."""

from django.dispatch import Signal

#: arguments: resource_type, resource_id, user_ids (texts; empty means "whoever reads this object")
access_changed = Signal()
