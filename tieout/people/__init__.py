"""Who may do what, and proof of who it is."""
