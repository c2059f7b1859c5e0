from django.apps import AppConfig
from django.contrib.admin import apps as administration


class AdministrationConfig(administration.AdminConfig):
    """Django's administration on a site of ours."""

    default = False
    default_site = "owui.admin_site.Site"


class OwuiConfig(AppConfig):
    default = True
    name = "owui"
    verbose_name = "Project"

    def ready(self) -> None:
        # Whoever sends a task (a page, a command, a test) must know the broker: the app becomes Celery's current one.
        import owui.celery  # noqa: F401
