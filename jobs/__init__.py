"""WHEN, AND IN WHICH TRANSACTION: lanes, automation, runs, delivery and the workers."""
