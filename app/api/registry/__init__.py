"""What agencies register: agencies, clients, connectors, catalogue."""
