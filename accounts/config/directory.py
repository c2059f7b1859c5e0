"""The organisation's directory: LDAP or Active Directory."""

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class DirectoryConfig(Section, prefix="ldap", label=_("Directory (LDAP)")):
    """Where the directory is, whom it lets in, and what it says about groups."""

    enable: bool = setting(
        False,
        env="ENABLE_LDAP",
        label=_("Sign-in with the directory"),
        help=_("On: the sign-in page offers the user name and password of the directory."),
    )
    server_label: str = setting("LDAP Server", env="LDAP_SERVER_LABEL", label=_("Name on the sign-in page"))
    server_host: str = setting(
        "localhost",
        env="LDAP_SERVER_HOST",
        label=_("Servers"),
        help=_("A host or an ldap(s):// address; several with commas between are asked in this order."),
    )
    server_port: int = setting(389, env="LDAP_SERVER_PORT", label=_("Port"), minimum=1, maximum=65535)
    use_tls: bool = setting(
        True, env="LDAP_USE_TLS", label=_("TLS from the first byte (ldaps)"), help=_("Usually port 636.")
    )
    use_starttls: bool = setting(
        False,
        env="LDAP_USE_STARTTLS",
        label=_("TLS by StartTLS"),
        help=_("On the plain port, before anything is said; used instead of ldaps. Usually port 389."),
    )
    validate_cert: bool = setting(
        True,
        env="LDAP_VALIDATE_CERT",
        label=_("Check the server's certificate"),
        help=_("Off: whoever stands in between reads every password."),
    )
    ca_cert_file: str = setting(
        "",
        env="LDAP_CA_CERT_FILE",
        label=_("Certificate authority"),
        help=_("Path of a PEM file on every node; empty: those of the system."),
    )
    ciphers: str = setting(
        "ALL",
        env="LDAP_CIPHERS",
        label=_("Ciphers"),
        help=_("In the words of the TLS library that OpenLDAP's client is built with; ALL leaves the choice to it."),
    )
    network_timeout: int = setting(
        3,
        env="LDAP_NETWORK_TIMEOUT",
        label=_("Seconds to connect"),
        help=_("Then the next server is asked."),
        minimum=1,
        maximum=60,
    )
    search_timeout: int = setting(10, env="LDAP_TIMEOUT", label=_("Seconds for an answer"), minimum=1, maximum=120)
    app_dn: str = setting(
        "",
        env="LDAP_APP_DN",
        label=_("Account that searches"),
        help=_("Its distinguished name; it only needs to read. Empty: searches without an account."),
    )
    app_password: str = setting(
        "", env="LDAP_APP_PASSWORD", label=_("Its password"), secret=True, belongs_to="server_host"
    )
    search_base: str = setting("", env="LDAP_SEARCH_BASE", label=_("People are below"))
    search_filter: str = setting(
        "",
        env="LDAP_SEARCH_FILTER",
        aliases=("LDAP_SEARCH_FILTERS",),
        label=_("Only people that match"),
        help=_("An LDAP filter, such as (objectClass=person)."),
    )
    disabled_filter: str = setting(
        "",
        env="LDAP_DISABLED_FILTER",
        label=_("Refuse people that match"),
        help=_("An LDAP filter for closed accounts, such as (employeeType=disabled). Accounts that Active Directory or "
               "389 Directory Server mark as closed are refused anyway."),
    )  # fmt: skip
    attribute_for_username: str = setting("uid", env="LDAP_ATTRIBUTE_FOR_USERNAME", label=_("Attribute: user name"))
    attribute_for_mail: str = setting("mail", env="LDAP_ATTRIBUTE_FOR_MAIL", label=_("Attribute: e-mail"))
    default_email_domain: str = setting(
        "",
        env="LDAP_DEFAULT_EMAIL_DOMAIN",
        label=_("Domain for people without an e-mail"),
        help=_("Their address is user name @ domain. Empty: they cannot sign in."),
    )
    merge_accounts_by_email: bool = setting(
        True,
        env="LDAP_MERGE_ACCOUNTS_BY_EMAIL",
        label=_("Take over accounts of the same e-mail"),
        help=_("Off where people may change their e-mail in the directory themselves."),
    )
    enable_group_management: bool = setting(
        False,
        env="ENABLE_LDAP_GROUP_MANAGEMENT",
        label=_("Groups follow the directory"),
        help=_("Memberships that the directory does not name end, see ENABLE_GROUP_SYNC_KEEP_MANUAL."),
    )
    enable_group_creation: bool = setting(
        False, env="ENABLE_LDAP_GROUP_CREATION", label=_("Make groups that are missing here")
    )
    attribute_for_groups: str = setting(
        "memberOf",
        env="LDAP_ATTRIBUTE_FOR_GROUPS",
        label=_("Attribute: groups"),
        help=_("Of a person. Distinguished names give their first CN, other values are names as they stand."),
    )
    attribute_for_members: str = setting(
        "",
        env="LDAP_ATTRIBUTE_FOR_MEMBERS",
        label=_("Attribute of groups: members"),
        help=_("Where people do not name their groups: memberUid (user names), or member, uniqueMember."),
    )
    group_search_base: str = setting(
        "", env="LDAP_GROUP_SEARCH_BASE", label=_("Groups are below"), help=_("Empty: below the base of people.")
    )
    nested_groups: bool = setting(
        False,
        env="ENABLE_LDAP_NESTED_GROUPS",
        label=_("Groups inside groups count"),
        help=_("Who is in a group is in every group that holds it, too."),
    )
    enable_sync: bool = setting(
        False,
        env="ENABLE_LDAP_SYNC",
        label=_("Follow the directory between sign-ins"),
        help=_("Changes groups, and switches off people who are closed or gone there."),
    )
    sync_interval: int = setting(
        45,
        env="LDAP_SYNC_INTERVAL",
        label=_("Seconds between two syncs"),
        help=_("With 45, who is closed in the directory is out here within a minute."),
        minimum=5,
        maximum=86400,
    )
    sync_max_removals: int = setting(
        20,
        env="LDAP_SYNC_MAX_REMOVALS",
        label=_("Most people to switch off at once, in percent"),
        help=_("When more would go (and more than three), nobody is switched off until somebody has looked."),
        minimum=0,
        maximum=100,
    )
    sync_page_size: int = setting(500, env="LDAP_SYNC_PAGE_SIZE", label=_("People a page"), minimum=1, maximum=5000)
