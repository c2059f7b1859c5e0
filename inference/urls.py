"""Workspace pages of this app, below `workspace/`."""

from __future__ import annotations

from django.urls import path

from inference import views

app_name = "inference"

urlpatterns = [
    path("models", views.model_list, name="model-list"),
    path("models/register", views.model_register, name="model-register"),
    path("models/<path:model_id>/active", views.model_active, name="model-active"),
]
