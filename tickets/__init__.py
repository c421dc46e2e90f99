"""WHAT IS TRUE: work items, people, messages, events, effects and the store that keeps them."""
