SELECT id, a FROM {space}.t ORDER BY id
