"""Who is calling: keys of the configuration, virtual keys, tokens of identity providers. What a caller may do is not decided here."""

from gateway.api.identity.establishing import Identity, raise_contradiction
from gateway.api.identity.identities import Identities
from gateway.api.identity.token_port import KeysWanted

__all__ = ["Identities", "Identity", "KeysWanted", "raise_contradiction"]
