SELECT id, a, b, u, hex(g), n FROM {space}.v ORDER BY id
