"""What people decide, one file for each flow that records a decision; the right is checked where it is recorded."""
