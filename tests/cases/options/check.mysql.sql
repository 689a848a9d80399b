SELECT id, name FROM {space}.users ORDER BY id
