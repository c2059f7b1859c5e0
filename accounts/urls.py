"""Pages before one is in, and about oneself."""

from __future__ import annotations

from django.urls import path

from accounts.views import account, devices, directory, entry, factors, interface, keys, language, oauth, trusted

app_name = "accounts"

urlpatterns = [
    path("auth", entry.sign_in, name="sign-in"),
    path("auth/ldap", directory.sign_in, name="directory-sign-in"),
    path("auth/header", trusted.sign_in, name="header-sign-in"),
    path("auth/signup", entry.sign_up, name="sign-up"),
    path("auth/signout", entry.sign_out, name="sign-out"),
    path("auth/forgot", entry.forgot, name="forgot"),
    path("auth/reset", entry.reset, name="reset"),
    path("auth/pending", entry.pending, name="pending"),
    path("auth/second-factor", factors.sign_in_step, name="second-factor"),
    path("auth/passkey/question", factors.passkey_question, name="passkey-question"),
    path("auth/passkey", factors.passkey_answer, name="passkey-answer"),
    path("oauth/backchannel-logout", oauth.backchannel_logout, name="backchannel-logout"),
    path("oauth/<slug:provider>/login", oauth.login, name="oauth-login"),
    path("oauth/<slug:provider>/callback", oauth.callback, name="oauth-callback"),
    path("oauth/<slug:provider>/login/callback", oauth.callback, name="oauth-callback-former"),
    path("settings", account.settings_page, name="settings"),
    path("settings/theme", account.theme, name="theme"),
    path("settings/language", language.save, name="language"),
    path("settings/interface", interface.save, name="interface"),
    path("settings/keyboard", interface.shortcut, name="shortcut"),
    path("settings/password", account.password_change, name="password-change"),
    path("settings/confirm", factors.confirm, name="confirm"),
    path("settings/app", factors.app, name="app"),
    path("settings/app/remove", factors.app_remove, name="app-remove"),
    path("settings/recovery-codes", factors.codes_renew, name="codes-renew"),
    path("settings/passkeys/options", factors.passkey_options, name="passkey-options"),
    path("settings/passkeys", factors.passkey_add, name="passkey-add"),
    path("settings/passkeys/<int:pk>/remove", factors.passkey_remove, name="passkey-remove"),
    path("settings/keys", keys.create, name="key-create"),
    path("settings/keys/<uuid:key_id>", keys.delete, name="key-delete"),
    path("settings/devices/<uuid:pk>/end", devices.end, name="device-end"),
    path("settings/devices/end-others", devices.end_others, name="devices-end-others"),
]
