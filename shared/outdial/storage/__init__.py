"""Every SQL statement, and the schema they run on."""
