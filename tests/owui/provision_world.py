"""A small company as a file, and what its tests ask of it."""

from __future__ import annotations

import io
from typing import Any

from django.core.management import call_command

from rbac.grants import Grant, grants_of

WORLD = """\
version: 1
settings:
  rag: {top_k: 7}
permissions:
  chat.delete: false
groups:
  - name: Company
  - name: Safety
    description: Drug safety
    parent: Company
    permissions: {features: {api_keys: true}}
    share: nobody
    default_models: [small]
    managers: [alice@example.org]
    members: [bob@example.org, new@example.org]
users:
  - {email: New@example.org, name: Nora New, groups: [Safety]}
  - {email: boss@example.org, name: Bo Boss, role: admin}
connections:
  openai:
    - {url: "http://vllm:8000/v1/", key_env: VLLM_KEY, prefix_id: gpu, headers: {X-Team: {env: VLLM_KEY}}}
  ollama:
    - {url: "http://ollama:11434"}
models:
  - {id: small, name: Small, access: {everyone: read}}
  - id: safety
    name: Safety Assistant
    base: small
    params: {temperature: 0.1}
    meta: {description: For drug safety}
    knowledge: [PV Reference]
    access: {groups: {Safety: read}}
knowledge_bases:
  - name: PV Reference
    description: Labels
    access:
      groups: {Safety: write}
      users: {carol@example.org: {permission: read, until: 2099-12-31}}
"""


def export() -> str:
    out = io.StringIO()
    call_command("export", stdout=out)
    return out.getvalue()


def grants(resource: Any) -> list[Grant]:
    return grants_of([resource])[resource.pk]


def edited(old: str, new: str) -> str:
    assert old in WORLD
    return WORLD.replace(old, new)
