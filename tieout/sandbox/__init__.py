"""Stand-in Procore and ERP servers with state, faults and a seeded contractor; no client code is shared."""
