SELECT id, up FROM {space}.node ORDER BY id
