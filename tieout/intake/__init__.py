"""What Procore and the ERP show comes into the ledger as it is."""
