"""Tests of the rules language: what each operator, trigger, action and check does, and what the engine makes of it."""
