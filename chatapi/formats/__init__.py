"""How the site writes down what templates do not say themselves (FORMAT_MODULE_PATH)."""
