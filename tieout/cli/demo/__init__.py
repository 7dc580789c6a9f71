"""A night on stand-ins, played by `tieout demo`."""
