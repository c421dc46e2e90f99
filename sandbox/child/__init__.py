"""What runs inside the jail. Imports wire, policy, source, limits, errors, contract; never client, broker, service."""
