"""6.7 Terminal, the part that needs no connection: the container socket. The rest is in the inference app."""

from __future__ import annotations

from pathlib import Path

from django.utils.translation import gettext_lazy as _

from owui.security.registry import Finding, check, fail, ok

SOCKETS = (
    *("/var/run/docker.sock", "/run/docker.sock"),
    *("/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock"),
)


@check(
    "6.7.e",
    _("The container socket is out of reach"),
    repair=_("Mount no container socket: whoever holds it rules the host."),
)
def container_socket() -> Finding:
    if found := [path for path in SOCKETS if Path(path).exists()]:
        return fail(_("This process can see %(paths)s.") % {"paths": ", ".join(found)})
    return ok(_("This process sees no container socket."))
