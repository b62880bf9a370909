"""What GraphQL shows of each feature."""
