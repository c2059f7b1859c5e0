#!/usr/bin/env python3
"""Write the directory as LDIF from people.json.

    make_ldif.py posix|ad > out.ldif

posix: inetOrgPerson + posixAccount, groupOfNames under ou=groups (memberOf comes from the overlay),
       posixGroup (memberUid) under ou=posix.
ad:    the names and attributes of Active Directory (CN=..,OU=Staff; sAMAccountName, userPrincipalName,
       userAccountControl, objectGUID, objectSid, group/member), for a plain OpenLDAP with our ad.schema.
"""

import base64
import hashlib
import json
import pathlib
import sys
import uuid

HERE = pathlib.Path(__file__).resolve().parent
DATA = json.loads((HERE.parent / "people" / "people.json").read_text("utf-8"))
NS = uuid.uuid5(uuid.NAMESPACE_DNS, "meridian.test")


def ssha(password, salt):
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


def dn_escape(value):
    return "".join("\\" + c if c in ',+"\\<>;=#' else c for c in value)


def line(key, value):
    raw = value if isinstance(value, bytes) else value.encode("utf-8")
    safe = raw and all(31 < b < 127 for b in raw) and raw[:1] not in b" :<" and not raw.endswith(b" ")
    return f"{key}: {raw.decode()}" if safe else f"{key}:: {base64.b64encode(raw).decode()}"


def entry(dn, *pairs):
    print("\n".join([line("dn", dn)] + [line(k, v) for k, v in pairs]), end="\n\n")


def cn(p):
    return f"{p['given']} {p['sn']}"


def posix():
    base = "dc=meridian,dc=test"
    salt = b"lab-salt"
    entry(
        base,
        ("objectClass", "dcObject"),
        ("objectClass", "organization"),
        ("dc", "meridian"),
        ("o", DATA["organisation"]),
    )
    for ou in ("people", "groups", "posix", "services"):
        entry(f"ou={ou},{base}", ("objectClass", "organizationalUnit"), ("ou", ou))
    entry(
        f"cn=reader,ou=services,{base}",
        ("objectClass", "applicationProcess"),
        ("objectClass", "simpleSecurityObject"),
        ("cn", "reader"),
        ("description", "Bind account of the AI assistant, may read"),
        ("userPassword", ssha("reader-secret", salt)),
    )
    for p in DATA["people"]:
        entry(
            f"uid={p['uid']},ou=people,{base}",
            *[("objectClass", c) for c in ("inetOrgPerson", "posixAccount")],
            ("uid", p["uid"]),
            ("cn", cn(p)),
            ("givenName", p["given"]),
            ("sn", p["sn"]),
            ("displayName", cn(p)),
            ("mail", p["mail"]),
            ("title", p["title"]),
            ("departmentNumber", p["department"]),
            ("employeeType", "disabled" if p.get("disabled") else "active"),
            ("uidNumber", str(p["uidNumber"])),
            ("gidNumber", "5999"),
            ("homeDirectory", f"/home/{p['uid']}"),
            ("userPassword", ssha(p["password"], salt + p["uid"].encode())),
        )
    for name, g in DATA["groups"].items():
        members = [p["uid"] for p in DATA["people"] if name in p["groups"]]
        entry(
            f"cn={name},ou=groups,{base}",
            ("objectClass", "groupOfNames"),
            ("cn", name),
            ("description", g["description"]),
            *[("member", f"uid={u},ou=people,{base}") for u in members],
        )
        entry(
            f"cn={name},ou=posix,{base}",
            ("objectClass", "posixGroup"),
            ("cn", name),
            ("gidNumber", str(g["gid"])),
            *[("memberUid", u) for u in members],
        )
    for name, g in DATA["nested_groups"].items():
        entry(
            f"cn={name},ou=groups,{base}",
            ("objectClass", "groupOfNames"),
            ("cn", name),
            ("description", g["description"]),
            *[("member", f"cn={m},ou=groups,{base}") for m in g["members"]],
        )


def ad():
    base = "DC=ad,DC=meridian,DC=test"
    salt = b"ad-salt"

    def guid(name):
        return uuid.uuid5(NS, name).bytes_le

    def sid(rid):
        parts = (21, 1004336348, 1177238915, 682003330, rid)
        return bytes([1, len(parts)]) + (5).to_bytes(6, "big") + b"".join(x.to_bytes(4, "little") for x in parts)

    entry(base, ("objectClass", "dcObject"), ("objectClass", "organization"), ("dc", "ad"), ("o", DATA["organisation"]))
    for ou in ("Staff", "Leavers", "Groups", "Service Accounts"):
        entry(f"OU={ou},{base}", ("objectClass", "organizationalUnit"), ("ou", ou))

    def user(dn, name, sam, rid, uac, password, *more):
        entry(
            dn,
            *[("objectClass", c) for c in ("top", "person", "organizationalPerson", "adUser")],
            ("cn", name),
            ("sAMAccountName", sam),
            ("userPrincipalName", f"{sam}@ad.meridian.test"),
            ("userAccountControl", str(uac)),
            ("objectGUID", guid(sam)),
            ("objectSid", sid(rid)),
            ("distinguishedName", dn),
            ("objectCategory", f"CN=Person,CN=Schema,CN=Configuration,{base}"),
            ("userPassword", ssha(password, salt)),
            *more,
        )

    user(f"CN=svc-ai,OU=Service Accounts,{base}", "svc-ai", "svc-ai", 1100, 66048, "reader-secret", ("sn", "svc-ai"))
    dns = {}
    for i, p in enumerate(DATA["people"]):
        gone = p.get("disabled")
        dn = f"CN={dn_escape(cn(p))},OU={'Leavers' if gone else 'Staff'},{base}"
        dns[p["uid"]] = dn
        user(
            dn,
            cn(p),
            p["uid"],
            1200 + i,
            514 if gone else 512,
            p["password"],
            ("givenName", p["given"]),
            ("sn", p["sn"]),
            ("displayName", cn(p)),
            ("mail", p["mail"]),
            ("title", p["title"]),
            ("department", p["department"]),
            ("company", "Meridian Biopharma"),
        )

    def group(name, rid, description, members):
        dn = f"CN=GRP_{name},OU=Groups,{base}"
        entry(
            dn,
            ("objectClass", "top"),
            ("objectClass", "adGroup"),
            ("cn", f"GRP_{name}"),
            ("sAMAccountName", f"GRP_{name}"),
            ("description", description),
            ("groupType", "-2147483646"),
            ("objectGUID", guid(dn)),
            ("objectSid", sid(rid)),
            ("distinguishedName", dn),
            *[("member", m) for m in members],
        )

    for i, (name, g) in enumerate(DATA["groups"].items()):
        group(name, 1300 + i, g["description"], [dns[p["uid"]] for p in DATA["people"] if name in p["groups"]])
    for i, (name, g) in enumerate(DATA["nested_groups"].items()):
        group(name, 1400 + i, g["description"], [f"CN=GRP_{m},OU=Groups,{base}" for m in g["members"]])


if __name__ == "__main__":
    {"posix": posix, "ad": ad}[sys.argv[1]]()
