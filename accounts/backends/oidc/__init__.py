"""OpenID Connect and OAuth 2: from a provider's answer to an `ExternalIdentity`. Writes nothing.

`presets` says which providers there are, `wire` talks to them, `discovery` remembers what they say of themselves,
`verify` checks their tokens (on mozilla-django-oidc), `claims` reads what the tokens say, `pictures` fetches faces.
"""
