"""Embeddings without a model."""

from __future__ import annotations

import base64
import math
import re
import struct
import zlib
from typing import Any

DIM = 384
WORD = re.compile(r"[A-Za-z0-9]+")
_slots: dict[str, tuple[int, float]] = {}


def embed(text: str) -> list[float]:
    """Signed feature hashing of the words: texts that share words are near.

    Names and numbers (a capital or a digit) weigh ten times a plain word, a stand-in for what a real model learns: they
    decide what a passage is about.
    """
    vector = [0.0] * DIM
    for word in set(WORD.findall(text)):  # once each, else the commonest word is all that is left
        slot = _slots.get(word)
        if slot is None:
            digest = zlib.crc32(word.lower().encode())  # "On" and "on" are one word
            weight = 1.0 if word.islower() else 10.0
            slot = (digest % DIM, weight if (digest >> 16) & 1 else -weight)
            if len(_slots) < 500_000:
                _slots[word] = slot
        vector[slot[0]] += slot[1]
    norm = math.sqrt(sum(v * v for v in vector)) or 1.0
    return [round(v / norm, 6) for v in vector]


def openai_embeddings(body: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    packed = body.get("encoding_format") == "base64"
    data = []
    for i, text in enumerate(texts):
        vector = embed(text)
        value = base64.b64encode(struct.pack(f"<{DIM}f", *vector)).decode() if packed else vector
        data.append({"object": "embedding", "index": i, "embedding": value})
    words = sum(len(text) for text in texts) // 5
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}
