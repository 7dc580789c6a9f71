"""The stand-in for Spectrum."""
