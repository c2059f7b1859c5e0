"""Who has access to what, and whom one may add."""

from __future__ import annotations

from django.urls import path

from rbac import views

app_name = "rbac"

urlpatterns = [
    path("access/principals", views.principal_list, name="principal-list"),
    path("access/<str:resource_type>/<uuid:pk>", views.access_dialog, name="access-dialog"),
    path("access/<str:resource_type>/<uuid:pk>/who", views.reach_list, name="reach-list"),
]
