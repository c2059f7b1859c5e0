"""The conversation: chats and messages, the turns that answer them, and what people share of them."""

from chat.models.chats import Chat, Folder, FolderGroupGrant, FolderUserGrant
from chat.models.feedback import Feedback, MessageVersion
from chat.models.messages import Citation, Message, Runner, State, Turn, TurnEvent
from chat.models.sharing import (
    Note,
    NoteGroupGrant,
    NoteUserGrant,
    Prompt,
    PromptGroupGrant,
    PromptUserGrant,
    PromptVersion,
    SharedChat,
    SharedChatGroupGrant,
    SharedChatUserGrant,
)

__all__ = [
    "Chat",
    "Citation",
    "Feedback",
    "Folder",
    "FolderGroupGrant",
    "FolderUserGrant",
    "Message",
    "MessageVersion",
    "Note",
    "NoteGroupGrant",
    "NoteUserGrant",
    "Prompt",
    "PromptGroupGrant",
    "PromptUserGrant",
    "PromptVersion",
    "Runner",
    "SharedChat",
    "SharedChatGroupGrant",
    "SharedChatUserGrant",
    "State",
    "Turn",
    "TurnEvent",
]
