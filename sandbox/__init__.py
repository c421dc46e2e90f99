"""UNTRUSTED CODE: people's scripts are read, checked and run in a jail. Imports nothing of ours; see README.md."""
