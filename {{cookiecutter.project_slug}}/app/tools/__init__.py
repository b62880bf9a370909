"""What developers and CI use: nothing here runs in the service."""
