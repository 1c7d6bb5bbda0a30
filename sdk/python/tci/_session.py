"""What the daemon tells of a session, for the objects of both clients."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class SessionState:
    """The attributes of a session."""

    def __init__(self, wire: Mapping[str, Any]) -> None:
        self._set(wire)

    def _set(self, wire: Mapping[str, Any]) -> None:
        self.raw = wire
        self.id: str = wire["id"]
        self.language: str = wire["language"]
        self.state: str = wire["state"]
        self.created_at: str = wire["created_at"]
        self.expires_at: Optional[str] = wire["expires_at"]
        self.last_execute_at: Optional[str] = wire["last_execute_at"]
        self.execute_count: int = wire["execute_count"]
        self.metadata: dict[str, str] = wire["metadata"]
        self.resources: dict[str, Any] = wire["resources"]
        self.network: dict[str, Any] = wire["network"]
        self.isolation: dict[str, Any] = wire["isolation"]
        self.image: str = wire["image"]
        self.image_digest: str = wire["image_digest"]
        self.idle_timeout: float = wire["idle_timeout"]
        self.kernel_restarts: int = wire["kernel_restarts"]
        self.sandbox: str = wire["sandbox"]
        self.reason: Optional[str] = wire.get("reason")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, state={self.state!r})"
