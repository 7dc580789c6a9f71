"""The contractor's company that the stand-ins show, generated from a seed."""
