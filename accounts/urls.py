"""Pages before one is in, and about oneself."""

from __future__ import annotations

from django.urls import path

from accounts import views

app_name = "accounts"

urlpatterns = [
    path("auth", views.sign_in, name="sign-in"),
    path("auth/signup", views.sign_up, name="sign-up"),
    path("auth/signout", views.sign_out, name="sign-out"),
    path("auth/pending", views.pending, name="pending"),
    path("settings", views.settings_page, name="settings"),
    path("settings/theme", views.theme, name="theme"),
    path("settings/password", views.password_change, name="password-change"),
    path("settings/api-key", views.api_key, name="api-key"),
]
