"""Requests and responses of the REST API, in camelCase. The OpenAPI document is generated from them."""
