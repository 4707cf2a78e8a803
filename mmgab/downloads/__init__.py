"""Download files completely, verify their hash, and keep credentials of URLs secret."""
