"""Stand-in Procore and ERP servers with state, faults and a seeded contractor; nothing here is shared with the clients."""
