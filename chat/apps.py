from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = "Chats"

    def ready(self) -> None:
        # A signal, because rbac and accounts must not know that sockets exist.
        from chat.kept_files import kept_for_chats
        from chat.nodes import nodes
        from chat.notices import hear_access_changed, on_access_changed
        from knowledge import keeping
        from rbac.signals import access_changed

        keeping.register(kept_for_chats)
        access_changed.connect(on_access_changed, dispatch_uid="chat.notices")
        nodes.on("access.changed", hear_access_changed)
