"""Forms of the chat page's dialogs."""

from django import forms
from django.utils.translation import gettext_lazy as _


class TitleForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=500)
