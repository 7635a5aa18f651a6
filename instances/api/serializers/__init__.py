"""What the REST API takes and gives, in camelCase; the OpenAPI document is made of these."""
