"""A company in a real Tryton for construction: built once, cloned at will, served with people who work in it."""
