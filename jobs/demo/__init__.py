"""The demo desk: a small company with customers, tickets of thirty days, and a back office that really answers.

Nothing in here is a mock of the product: tickets are made and decided by the product's own functions, and the back
office is an HTTP server of its own that connectors reach like any other.
"""
