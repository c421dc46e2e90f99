"""UNTRUSTED CODE: compile, jail, broker. Imports nothing of ours; JSON in, JSON out."""
