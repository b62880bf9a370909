"""The reference pages and drawings of the documentation, written from the code."""
