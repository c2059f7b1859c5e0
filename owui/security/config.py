"""What an administrator vouches for, because no process of ours can see it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class SecurityDeclarations(Section, prefix="security", label=_("Security declarations")):
    """Answers to checks that this program cannot make: proxy, images, backups, alerts."""

    declarations: list[str] = setting(
        [],
        env="SECURITY_DECLARATIONS",
        separator=";",
        label=_("Declarations"),
        help=_(
            "One a line: the number of a check and the evidence, for example “6.5.a images pinned by digest, see "
            "CR-104”. Only for checks that say they may be declared; without evidence it does not count."
        ),
    )

    def evidence(self) -> dict[str, str]:
        """Evidence by the number of the check; entries without evidence are left out."""
        pairs = (entry.strip().partition(" ") for entry in self.declarations)
        return {number.rstrip(":"): text.strip() for number, _space, text in pairs if text.strip()}
