"""Keys of model servers on their way to administrators, masked, and back: each only to the address it was entered for.

Addresses, keys and options are lists side by side; a client that removes an address moves those behind it. So a mask is
looked up by its address, and by its place only where several have the same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from inference.connections import options_for
from owui.lib.errors import UserError
from owui.lib.masks import MASK, has_mask, has_userinfo, masked_options, same_place, unmasked


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of the servers of one kind."""

    urls: Sequence[str]
    keys: Sequence[str]
    configs: Mapping[str, Any]

    def key(self, index: int) -> str:
        return self.keys[index] if index < len(self.keys) else ""

    def options(self, index: int) -> dict[str, Any]:
        return options_for(self.configs, index, self.urls[index])

    def shown_keys(self) -> list[str]:
        return [MASK if self.key(index) else "" for index in range(len(self.urls))]

    def shown_configs(self) -> dict[str, Any]:
        return {name: masked_options(options) for name, options in self.configs.items()}

    def taken_back(self, urls: Sequence[str], keys: Sequence[str], configs: Mapping[str, Any]) -> Kept:
        """What was sent, with what is stored in the place of each mask. 400 with every problem."""
        found_keys, found_configs, problems = list(keys), dict(configs), []
        for index, url in enumerate(urls):
            if has_userinfo(url):
                text = _("Address %(place)d holds a name or password. Enter them as its key or its headers.")
                problems.append(text % {"place": index + 1})
                continue
            name = next((n for n in (str(index), url, f"{url}/") if isinstance(configs.get(n), dict)), "")
            key = keys[index] if index < len(keys) else ""
            if key != MASK and not has_mask(configs.get(name)):
                continue
            try:
                source = self._source(index, urls, keys, configs)
                if key == MASK:
                    found_keys[index] = unmasked(MASK, self.key(source))
                found_configs |= {name: unmasked(configs[name], self.options(source))} if name else {}
            except KeyError:
                text = _("The key of address %(place)d is not stored for this address. Enter it again.")
                problems.append(text % {"place": index + 1})
        # Options under a name that belongs to no address here are never used, and their masks stand for nothing.
        found_configs = {name: options for name, options in found_configs.items() if problems or not has_mask(options)}
        if problems:
            raise UserError(" ".join(problems), code="connection")
        return Kept(urls, found_keys, found_configs)

    def _source(self, index: int, urls: Sequence[str], keys: Sequence[str], configs: Mapping[str, Any]) -> int:
        """The stored place whose secrets are meant; KeyError when none is, or it cannot be told which."""
        url = urls[index]
        if len(urls) == len(self.urls) and self.urls[index] == url:
            return index
        stored = [i for i, known in enumerate(self.urls) if known == url]
        asking = [
            i
            for i, sent in enumerate(urls)
            if sent == url and (i < len(keys) and keys[i] == MASK or has_mask(options_for(configs, i, url)))
        ]
        if stored and len(stored) == len(asking):
            return stored[asking.index(index)]
        if not stored and len(urls) == len(self.urls) and same_place(self.urls[index], url):
            return index
        raise KeyError(url)

    def for_trial(self, url: str, key: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Key and options of a server that is tried out: masks stand for what is stored for the same server. 400 when
        nothing is."""
        if has_userinfo(url):
            raise UserError(_("The address holds a name or password. Enter them as its key or its headers."))
        if key != MASK and not has_mask(options):
            return key, dict(options)
        places = [i for i, known in enumerate(self.urls) if known == url]
        places = places or [i for i, known in enumerate(self.urls) if same_place(known, url)]
        for index in places:
            try:
                return str(unmasked(key, self.key(index) or "")), dict(unmasked(options, self.options(index)))
            except KeyError:
                continue
        raise UserError(_("The key is not stored for this address. Enter it again."), code="connection")
