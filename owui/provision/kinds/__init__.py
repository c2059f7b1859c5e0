"""One module for each kind of thing a file can name; each adds its part to the plan, in this order."""

from owui.provision.kinds.access import plan_access
from owui.provision.kinds.bases import plan_bases
from owui.provision.kinds.connections import plan_connections
from owui.provision.kinds.groups import plan_groups
from owui.provision.kinds.members import plan_members
from owui.provision.kinds.models import plan_models
from owui.provision.kinds.permissions import plan_permissions
from owui.provision.kinds.settings import plan_settings
from owui.provision.kinds.users import plan_users

# People and groups before whatever refers to them.
KINDS = (
    plan_settings,
    plan_connections,
    plan_permissions,
    plan_users,
    plan_groups,
    plan_members,
    plan_bases,
    plan_models,
    plan_access,
)
