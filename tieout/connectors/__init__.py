"""One module per outside system; each speaks its own API and hands over contract types only."""
