"""Security checks of the conversation: where what people say aloud goes."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from chat.config import AudioConfig
from owui.security.registry import Finding, check, ok, warn


@check(
    "6.11.g",
    _("Dictation stays on people's devices"),
    repair=_("Leave the dictation engine empty: then only browsers listen that understand speech by themselves."),
    names=("AUDIO_STT_ENGINE",),
    key="audio.stt_engine",
    beyond=True,
)
def dictation() -> Finding:
    if AudioConfig.load().stt_engine == "web":
        return warn(_("Some browsers send what people dictate to the browser's maker."))
    return ok(_("Browsers take dictation only where they understand it on the device."))
