SELECT id, j FROM {space}.t ORDER BY id
