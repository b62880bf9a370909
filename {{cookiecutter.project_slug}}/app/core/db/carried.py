"""What sessions carry in their `info`."""

SERVICE = "service"
"""The service that the session was opened by."""
ENGINE = "engine"
"""The engine that transactions run on, also where the session reads without one."""
AFTER_COMMIT = "after_commit"
"""What is to be done once its work is committed."""
