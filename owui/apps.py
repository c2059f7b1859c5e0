from django.apps import AppConfig


class OwuiConfig(AppConfig):
    name = "owui"
    verbose_name = "Project"

    def ready(self) -> None:
        # Whoever sends a task (a page, a command, a test) must know the broker: the app becomes Celery's current one.
        import owui.celery  # noqa: F401
