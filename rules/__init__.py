"""WHAT SHOULD HAPPEN: fields, operators, actions, tables and the engine. Deciding is pure; nothing here writes a ticket."""
