"""HTML routes of chats."""

from django.urls import path

from chat.views import feedback, files, links, messages, pages, sources

app_name = "chat"
_message = "c/<uuid:chat_id>/messages/<uuid:message_id>"
urlpatterns = [
    path("", pages.home, name="chat-new"),
    path("c/new", pages.old_new, name="chat-new-alias"),
    path("c/search", pages.search, name="chat-search"),
    path("c/files", files.file_create, name="file-create"),
    path("c/new/messages", messages.message_create, name="message-create-first"),
    path("c/<uuid:chat_id>", pages.chat_page, name="chat-page"),
    path("c/<uuid:chat_id>/pin", pages.pin, name="chat-pin"),
    path("c/<uuid:chat_id>/rename", pages.rename, name="chat-rename"),
    path("c/<uuid:chat_id>/delete", pages.delete, name="chat-delete"),
    path("c/<uuid:chat_id>/archive", pages.archive, name="chat-archive"),
    path("c/<uuid:chat_id>/clone", links.clone, name="chat-clone"),
    path("c/<uuid:chat_id>/share", links.share, name="chat-share"),
    path("c/<uuid:chat_id>/unshare", links.unshare, name="chat-unshare"),
    path("s/<uuid:share_id>", links.shared_page, name="shared-page"),
    path("s/<uuid:share_id>/clone", links.shared_clone, name="shared-clone"),
    path("c/<uuid:chat_id>/messages", messages.message_create, name="message-create"),
    path(_message, messages.message, name="message"),
    path(f"{_message}/edit", messages.message_edit, name="message-edit"),
    path(f"{_message}/regenerate", messages.message_regenerate, name="message-regenerate"),
    path(f"{_message}/continue", messages.message_continue, name="message-continue"),
    path(f"{_message}/stop", messages.message_stop, name="message-stop"),
    path(f"{_message}/menu", messages.message_menu, name="message-menu"),
    path(f"{_message}/text", messages.message_text, name="message-text"),
    path(f"{_message}/save", messages.message_save, name="message-save"),
    path(f"{_message}/copy", messages.message_copy, name="message-copy"),
    path(f"{_message}/delete", messages.message_delete, name="message-delete"),
    path(f"{_message}/fork", messages.message_fork, name="message-fork"),
    path(f"{_message}/rate", feedback.rate, name="message-rate"),
    path(f"{_message}/unrate", feedback.unrate, name="message-unrate"),
    path(f"{_message}/select", messages.message_select, name="message-select"),
    path(f"{_message}/sources/<int:number>", sources.source, name="message-source"),
]
