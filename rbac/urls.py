"""Who has access to what, and whom one may add."""

from __future__ import annotations

from django.urls import path

from rbac import manager_views, views

app_name = "rbac"

urlpatterns = [
    path("groups", manager_views.group_list, name="group-list"),
    path("groups/<uuid:pk>", manager_views.group_detail, name="group-detail"),
    path("groups/<uuid:pk>/people", manager_views.group_people, name="group-people"),
    path("groups/<uuid:pk>/members", manager_views.member_add, name="member-add"),
    path("groups/<uuid:pk>/members/<uuid:user_id>/remove", manager_views.member_remove, name="member-remove"),
    path("access/principals", views.principal_list, name="principal-list"),
    path("access/<str:resource_type>/<uuid:pk>", views.access_dialog, name="access-dialog"),
    path("access/<str:resource_type>/<uuid:pk>/who", views.reach_list, name="reach-list"),
]
