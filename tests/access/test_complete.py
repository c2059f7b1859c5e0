"""No way in without a row: a new route fails here until somebody said who may use it."""

from __future__ import annotations

from tests.access import routes
from tests.access.rows import TASK, WS, all_rows

ROWS = all_rows()


def missing(found: set[str], have: set[str]) -> list[str]:
    return sorted(found - have)


def test_every_rest_operation_has_a_row():
    have = {(row.method, row.route) for row in ROWS}
    lacking = sorted(f"{method} {path}" for method, path in routes.operations() - have)
    assert not lacking, "Add rows to tests/access/table_<app>.py for:\n" + "\n".join(lacking)


def test_every_page_has_a_row():
    lacking = missing(routes.pages(), {row.route for row in ROWS})
    assert not lacking, "Add rows to tests/access/table_<app>.py for:\n" + "\n".join(lacking)


def test_every_list_of_django_admin_has_a_row():
    lacking = missing(routes.admin_models(), {row.route for row in ROWS})
    assert not lacking, "Add rows to tests/access/table_<app>.py for:\n" + "\n".join(lacking)


def test_every_socket_has_a_row():
    lacking = missing(routes.sockets(), {row.route for row in ROWS if row.method == WS})
    assert not lacking, f"Add rows with the method {WS} for:\n" + "\n".join(lacking)


def test_every_task_has_a_row():
    lacking = missing(routes.tasks(), {row.route for row in ROWS if row.method == TASK})
    assert not lacking, "Add `task(name, why)` rows for:\n" + "\n".join(lacking)


def test_no_row_is_about_a_route_that_is_gone():
    known = {f"{method} {path}" for method, path in routes.operations()}
    pages = routes.pages() | routes.admin_models() | set(routes.DOCS) | {"/admin/", "/admin/login/"}
    others = routes.sockets() | routes.tasks()
    gone = [str(row) for row in ROWS if f"{row.method} {row.route}" not in known and row.route not in pages | others]
    assert not gone, "These rows match no route:\n" + "\n".join(gone)


def test_no_row_stands_twice():
    seen = [(row.method, row.path, str(row.fill), str(row.json), str(row.data)) for row in ROWS]
    assert len(seen) == len(set(seen))
