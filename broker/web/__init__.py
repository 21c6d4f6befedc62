"""What every page shares: templates, static files, headers, cookies, forms, sessions, and how people arrive."""
