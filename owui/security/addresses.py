"""Where an address leads, told without asking a name server: that would take time, and tell somebody."""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_PRIVATE_SUFFIXES = (
    *(".internal", ".local", ".localdomain", ".lan", ".home.arpa", ".intranet", ".corp", ".private", ".test"),
    *(".svc", ".cluster.local", ".consul", ".ts.net"),
)
# Who sells inference or hosting; a server below one of these is certainly not in the house.
_PUBLIC_SUFFIXES = (
    *("openai.com", "anthropic.com", "mistral.ai", "googleapis.com", "azure.com", "amazonaws.com", "openrouter.ai"),
    *("groq.com", "together.xyz", "together.ai", "cohere.com", "cohere.ai", "deepseek.com", "x.ai", "perplexity.ai"),
    *("huggingface.co", "huggingface.cloud", "fireworks.ai", "replicate.com", "ollama.com", "nvidia.com", "jina.ai"),
    *("voyageai.com", "cloudflare.com", "slack.com", "discord.com", "office.com", "google.com"),
)


class Reach(enum.Enum):
    """How far an address is."""

    LOCAL = "this machine"
    PRIVATE = "a private network"
    UNCERTAIN = "a name that only your DNS can place"
    PUBLIC = "a public address"


def host_of(url: str) -> str:
    """The host of a URL or the text itself; empty for a socket path and for what is no address."""
    text = url.strip()
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname
    except ValueError:
        return ""
    return (host or "").rstrip(".")


def reach(url: str) -> Reach:
    """How far a URL or host is, by its literal address or by well-known endings. A socket path is this machine."""
    host = host_of(url)
    if not host:
        return Reach.LOCAL if url.strip().startswith(("/", "unix:")) or not url.strip() else Reach.UNCERTAIN
    try:
        return _reach_of_ip(ip_address(host.partition("%")[0]))
    except ValueError:
        return _reach_of_name(host.lower())


def _reach_of_ip(ip: IPv4Address | IPv6Address) -> Reach:
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback or ip.is_unspecified:
        return Reach.LOCAL
    return Reach.PUBLIC if ip.is_global else Reach.PRIVATE


def _reach_of_name(name: str) -> Reach:
    if name == "localhost" or name.endswith(".localhost"):
        return Reach.LOCAL
    # Digits alone are an address in an odd form, which every resolver reads in its own way.
    if not any(letter.isalpha() for letter in name) or name.startswith("0x"):
        return Reach.UNCERTAIN
    if "." not in name or name.endswith(_PRIVATE_SUFFIXES):
        return Reach.PRIVATE
    if any(name == suffix or name.endswith(f".{suffix}") for suffix in _PUBLIC_SUFFIXES):
        return Reach.PUBLIC
    return Reach.UNCERTAIN


def shown(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown; a user name, password or path may be a secret."""
    try:
        parts = urlsplit(url.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
