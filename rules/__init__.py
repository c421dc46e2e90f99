"""WHAT SHOULD HAPPEN: fields, operators, actions, tables, the engine. Nothing here writes a ticket."""
