SELECT id, hex(v), hex(w), hex(g), n FROM {space}.v ORDER BY id
