"""The stand-in for Procore."""
