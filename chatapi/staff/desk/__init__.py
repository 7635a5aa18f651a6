"""The pages of the support desk in the frame of the product: home, search, customers, issues, all tables."""
