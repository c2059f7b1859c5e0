"""Workspace pages of this app, below `workspace/`."""

from __future__ import annotations

from django.urls import path

from knowledge import views

app_name = "knowledge"

urlpatterns = [
    path("knowledge/", views.knowledge_list, name="knowledge-list"),
    path("knowledge/new", views.knowledge_new, name="knowledge-new"),
    path("knowledge/<uuid:pk>", views.knowledge_detail, name="knowledge-detail"),
    path("knowledge/<uuid:pk>/edit", views.knowledge_edit, name="knowledge-edit"),
    path("knowledge/<uuid:pk>/delete", views.knowledge_delete, name="knowledge-delete"),
    path("knowledge/<uuid:pk>/documents", views.document_create, name="document-create"),
    path("knowledge/<uuid:pk>/documents/<uuid:document_id>", views.document_detail, name="document-detail"),
    path("knowledge/<uuid:pk>/documents/<uuid:document_id>/content", views.document_content, name="document-content"),
    path("knowledge/<uuid:pk>/documents/<uuid:document_id>/retry", views.document_retry, name="document-retry"),
    path("knowledge/<uuid:pk>/documents/<uuid:document_id>/delete", views.document_delete, name="document-delete"),
]
