"""What `make chaos ONLY=fleet` is made of."""
