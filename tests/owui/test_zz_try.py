import pytest
pytestmark = pytest.mark.django_db
def test_all(people, capsys):
    import time
    from owui.security.registry import run_checks
    run_checks()
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    with CaptureQueriesContext(connection) as q:
        a=time.perf_counter(); r=run_checks(); b=time.perf_counter()
    with capsys.disabled():
        for x in r: print(x.check.id, x.status.value, '|', x.check.title, '|', x.finding.found, '|', x.origin)
        print(len(r), b-a, len(q), len([z for z in q if 'SAVEPOINT' not in z['sql']]))
