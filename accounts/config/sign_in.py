"""Who may come in by form, and as what."""

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class SignInConfig(Section, prefix="auth", label=_("Sign-in")):
    """Who may come in by form, and as what."""

    enable_signup: bool = setting(
        True,
        env="ENABLE_SIGNUP",
        label=_("Sign-up is open"),
        help=_("Off: only administrators add people."),
        stored=True,
    )
    enable_login_form: bool = setting(
        True,
        env="ENABLE_LOGIN_FORM",
        label=_("Show the sign-in form"),
        help=_("Off: only sign-in providers are shown."),
        stored=True,
    )
    enable_password_change_form: bool = setting(
        True,
        env="ENABLE_PASSWORD_CHANGE_FORM",
        label=_("People change their password"),
        help=_("Off: the form is not shown."),
        stored=True,
    )
    way_order: list[str] = setting(
        [],
        env="SIGN_IN_ORDER",
        label=_("Order of the ways in"),
        help=_("Such as oidc, ldap: these come first, in this order; the others follow."),
        stored=True,
    )
    sign_in_notice: str = setting(
        "",
        env="SIGN_IN_NOTICE",
        label=_("Notice on the sign-in page"),
        help=_("A few sentences that everybody reads before signing in, such as who may use this site."),
        stored=True,
        multiline=True,
    )
    tries_per_address: int = setting(
        100,
        env="SIGN_IN_TRIES_PER_ADDRESS",
        label=_("Failed sign-ins an address may make"),
        help=_("In three minutes, whatever the accounts; then it has to wait. 0: no limit."),
        stored=True,
        minimum=0,
    )
    default_user_role: str = setting(
        "pending",
        env="DEFAULT_USER_ROLE",
        label=_("Role of new accounts"),
        help=_("pending, user or admin"),
        stored=True,
    )
    default_group_id: str = setting(
        "",
        env="DEFAULT_GROUP_ID",
        label=_("Group of new accounts"),
        help=_("Id of a group; empty for none."),
        stored=True,
    )
    jwt_expires_in: str = setting(
        "4w",
        env="JWT_EXPIRES_IN",
        label=_("Length of a session"),
        help=_("Such as 8h or 4w; -1 never ends."),
        stored=True,
    )
