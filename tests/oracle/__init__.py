"""The referee: a naive evaluator that shares nothing with the engine, and random lists on which both must agree."""
