"""What the API docs pages show, made of the descriptions that the product itself works by."""
