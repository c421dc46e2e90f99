"""Real neighbours for the tests: a Tryton ERP and a Stripe API double, built once, started on free loopback ports."""
