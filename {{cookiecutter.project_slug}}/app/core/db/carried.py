"""Keys in the `info` of sessions."""

SERVICE = "service"
"""The service that opened the session."""
ENGINE = "engine"
"""The engine for transactions, even if the session reads without one."""
AFTER_COMMIT = "after_commit"
"""What to call after the commit."""
