"""Django's PostgreSQL backend with a cheaper health check of persistent connections; DATABASE_URL, pooler, replica."""
