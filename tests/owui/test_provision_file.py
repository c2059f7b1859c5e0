"""What `manage.py apply` says about files that are wrong: everything at once, each at its line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from owui.provision import parse
from owui.provision.models import Provisioned
from owui.provision.parse import BadFile, from_bytes
from rbac.models import Group

pytestmark = pytest.mark.django_db


@pytest.fixture
def refused(tmp_path: Path, dana: Any) -> Callable[..., str]:
    """`refused(text)`: what the command says about a file that it does not apply."""

    def run(text: str | bytes, *flags: str) -> str:
        path = tmp_path / "org.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        before = set(Group.objects.values_list("name", flat=True))
        with pytest.raises(CommandError) as caught:
            call_command("apply", str(path), *flags, stdout=io.StringIO())
        assert set(Group.objects.values_list("name", flat=True)) == before
        assert not Provisioned.objects.exists()
        return str(caught.value)

    return run


def test_all_faults_are_told_at_once_with_their_lines(refused: Any) -> None:
    said = refused(
        """\
version: 1
gruops: []
permissions:
  chat: {delte: true}
  features.web_search: maybe
settings:
  rag.topk: 5
groups:
  - name: Safety
    nmae: x
    parent: 3
  - name: Quality
    parent: Nobody
    members: [nobody@example.org, alice@example.org]
  - name: Quality
users:
  - email: not an address
  - email: new@example.org
    role: boss
    is_active: yes
    groups: [Safty]
models:
  - id: m
    base: gone
    access:
      groups: {Safety: reed, Qualty: read}
knowledge_bases:
  - name: SOPs
    access:
      users:
        somebody@example.org: {permission: read, until: 2027-02-31}
"""
    )
    for line in (
        "org.yaml:2:1: There is no field 'gruops' here. Did you mean 'groups'?",
        "org.yaml:4:10: There is no permission 'chat.delte'. Did you mean 'chat.delete'?",
        "org.yaml:5:24: The permission features.web_search must be true or false, not 'maybe'.",
        "org.yaml:7:3: There is no setting rag.topk. Did you mean 'rag.top_k'?",
        "org.yaml:10:5: There is no field 'nmae' here. Did you mean 'name'?",
        "org.yaml:11:13: groups[1].parent must be a text, not 3. Put it into quotes.",
        "org.yaml:13:13: There is no group 'Nobody', the parent of 'Quality'.",
        "org.yaml:14:15: There is no person 'nobody@example.org'.",
        "org.yaml:15:11: The group 'Quality' is there twice; the first is in line 12.",
        "org.yaml:17:12: users[1].email is no e-mail address: 'not an address'.",
        "org.yaml:19:11: users[2].role must be 'admin', 'user' or 'pending', not 'boss'.",
        "org.yaml:20:16: users[2].is_active must be true or false, not 'yes'.",
        "org.yaml:21:14: There is no group 'Safty'. Did you mean 'Safety'?",
        "org.yaml:24:11: There is no model 'gone'.",
        "org.yaml:26:24: models[1].access.groups.Safety[1].permission must be 'read' or 'write', not 'reed'.",
        "org.yaml:26:30: There is no group 'Qualty'. Did you mean 'Quality'?",
        "org.yaml:31:9: knowledge_bases[1].access.users.somebody@example.org[1].until is no day that exists",
    ):
        assert line in said
    assert said.endswith("17 problems; nothing was applied.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "org.yaml:1:1: The file is empty."),
        ("- a\n", "The file must be a mapping that begins with `version: 1`."),
        ("groups: []\n", "'version' is missing."),
        ("version: 2\n", "org.yaml:1:10: version must be 1, not 2."),
        ("version: 1\nversion: 1\n", "org.yaml:2:1: The key 'version' is there twice; the first is in line 1."),
        ("version: 1\na: b: c\n", "org.yaml:2:5: This is not valid YAML: mapping values are not allowed"),
        ("version: 1\ngroups: [\n", "This is not valid YAML"),
        ("version: 1\n---\nversion: 1\n", "org.yaml:2:1: A second document begins here"),
        ("version: 1\ngroups: !!python/object:os.system x\n", "org.yaml:2:9: Tags such as"),
        ("version: 1\ngroups: *nothing\n", "org.yaml:2:9: The alias *nothing stands for nothing"),
        (b"version: 1\nsettings: {\xff: 1}\n", "org.yaml:2:12: The file is not UTF-8 text."),
        ("version: 1\nsettings: {a: \x07}\n", "This is not valid YAML: unacceptable character"),
        ("[" * 100_000, "The file is nested more than 40 deep."),
        ("version: 1\n? [a]\n: b\n", "org.yaml:2:3: A key must be a plain text."),
    ],
)
def test_what_is_no_usable_yaml_is_told_in_a_sentence(refused: Any, text: Any, said: str) -> None:
    assert said in refused(text)


def test_a_bomb_of_aliases_is_refused_before_it_is_written_out(refused: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "The file has more than 1,000,000 values, its aliases written out." in refused("\n".join(lines))


def test_an_alias_inside_itself_is_refused() -> None:
    with pytest.raises(BadFile, match="stands for nothing that is complete"):
        from_bytes(b"a: &a [*a]\n")


def test_a_huge_file_is_refused(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "LARGEST_FILE", 1024 * 1024)
    assert "The file has more than 1 MB." in refused("# " + "x" * 1024 * 1024 + "\nversion: 1\n")


def test_a_file_that_is_not_there_is_named(dana: Any) -> None:
    with pytest.raises(CommandError, match=r"/nowhere\.yaml cannot be read: No such file"):
        call_command("apply", "/nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups: [{name: A, parent: B}, {name: B, parent: A}]", "in a loop: A > B > A."),
        ("groups: [{name: A, parent: A}]", "in a loop: A > A."),
        ("groups: [{name: A, members: [bob@example.org, bob@example.org]}]", "is in this list twice"),
        ("users: [{email: a@x.org}, {email: A@x.org}]", "The e-mail address 'a@x.org' is there twice"),
        ("users: [{email: a@x.org, password_env: NOT_THERE}]", "The password needs the variable NOT_THERE"),
        ("users: [{email: dana@example.org, role: user}]", "is the first administrator and cannot give up that role"),
        ("users: [{email: dana@example.org, is_active: false}]", "the account cannot be switched off"),
        ("models: [{id: a, base: b}, {id: b, base: a}]", "The model 'a' is based on itself: a > b > a."),
        (
            "models: [{id: a, base: b}, {id: b, base: c}, {id: c, base: d}, {id: d, base: e}, {id: e}]",
            "at most 3 deep: a > b > c > d > e",
        ),
        ("models: [{id: '<a>'}]", "A model id has at most 255 letters"),
        ("models: [{id: a, knowledge: [Nope]}]", "There is no knowledge base 'Nope'."),
        ("models: [{id: a, meta: {knowledge: []}}]", "Attach bases by name"),
        ("knowledge_bases: [{name: A}, {name: A}]", "The knowledge base 'A' is there twice"),
        ("knowledge_bases: [{name: A, id: x}]", "knowledge_bases[1].id must be an id such as"),
        ("knowledge_bases: [{name: A, owner: who@x.org}]", "There is no person 'who@x.org'."),
        ("knowledge_bases: [{name: A, access: {deny: [{user: bob@example.org}]}}]", "ENABLE_DENY_GRANTS=True"),
        ("knowledge_bases: [{name: A, access: {deny: [{permission: read}]}}]", "either a `group` or a `user`"),
        ("knowledge_bases: [{name: A, access: {everyone: anyone}}]", "must be 'none', 'read' or 'write'"),
        ("settings: {user.permissions: {}}", "is kept by the section `permissions`"),
        ("settings: {openai: {api_keys: [x]}}", "is kept by the section `connections`"),
        ("settings: {rag.top_k: many}", "rag.top_k: Input should be a valid integer"),
        ("settings: {rag.top_k: 5, rag: {top_k: 6}}", "once flat and once nested"),
        ("permissions: {chat.delete: true, chat: {delete: false}}", "once nested and once with a dot"),
        (
            "connections: {openai: [{url: http://a}, {url: http://a/}]}",
            "The connection 'http://a' is there twice",
        ),
        ("connections: {openai: [{url: http://a, key_env: NOT_THERE}]}", "needs the variable NOT_THERE"),
        ("connections: {openai: [{url: http://a, headers: {X: 1}}]}", "The header X must be a text"),
    ],
)
def test_what_makes_no_sense_is_told_and_not_applied(refused: Any, people: Any, text: str, said: str) -> None:
    told = refused(f"version: 1\n{text}\n")
    assert said in told
    assert told.startswith("org.yaml:2:")


def test_a_secret_setting_does_not_stand_in_the_file(refused: Any) -> None:
    from owui.config.registry import all_settings
    from owui.provision.kinds.settings import ELSEWHERE

    key = next(s.key for s in all_settings() if s.secret and s.key not in ELSEWHERE)
    assert "is a secret and does not belong into a file" in refused(f"version: 1\nsettings: {{{key}: hunter2}}\n")
    assert "must be {env: NAME} or {file: PATH}" in refused(f"version: 1\nsettings: {{{key}: {{vault: x}}}}\n")
    assert "needs the variable NOT_THERE" in refused(f"version: 1\nsettings: {{{key}: {{env: NOT_THERE}}}}\n")


def test_problems_come_as_json_for_programs(tmp_path: Path, dana: Any) -> None:
    import json

    path, out = tmp_path / "org.yaml", io.StringIO()
    path.write_text("version: 1\nx: 1\n")
    with pytest.raises(CommandError):
        call_command("apply", str(path), "--json", stdout=out)
    assert json.loads(out.getvalue()) == {
        "problems": [{"line": 2, "column": 1, "problem": "There is no field 'x' here."}]
    }


def test_the_first_accounts_of_an_instance_need_an_administrator(db: None, tmp_path: Path) -> None:
    path = tmp_path / "org.yaml"
    path.write_text("version: 1\nusers: [{email: a@x.org}]\n")
    with pytest.raises(CommandError, match="There would be no administrator"):
        call_command("apply", str(path))


def test_merged_keys_and_numbers_are_read_as_they_are_written() -> None:
    source = from_bytes(b"base: &b {a: 1, b: no}\nnew: {<<: *b, b: 08}\nplain: ['1', 1.5, 1e5, ~, true]\n")
    assert source.root.plain() == {
        "base": {"a": 1, "b": "no"},
        "new": {"b": "08", "a": 1},
        "plain": ["1", 1.5, "1e5", None, True],
    }


def test_the_format_in_the_documentation_is_the_format() -> None:
    from owui.config.registry import find
    from owui.provision.shape import FileShape, validate

    text = (Path(__file__).resolve().parents[2] / "docs/provisioning.md").read_text()
    example = text.split("```yaml\n")[1].split("```")[0]
    shape, problems = validate(from_bytes(example.encode()))
    assert problems == []
    assert shape.model_fields_set == set(FileShape.model_fields)
    for key in shape.settings:
        assert key == "rag" or find(key).secret
