"""WHEN, AND IN WHICH TRANSACTION: lanes, automation, runs, enrichment, delivery, timers and the workers that do them."""
