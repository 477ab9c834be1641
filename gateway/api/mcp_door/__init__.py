"""The door of /mcp: host and origin, who is calling, and whether a token's scopes reach. What goes on inside is not its business."""

from gateway.api.mcp_door.entrance import Entrance
from gateway.api.mcp_door.guarded import Aimed, Find, Guarded
from gateway.api.mcp_door.refusing import Refused

__all__ = ["Aimed", "Entrance", "Find", "Guarded", "Refused"]
