SELECT id, up FROM {space}.node ORDER BY id
SELECT id, parent_id FROM {space}.child ORDER BY id
SELECT id FROM {space}.parent ORDER BY id
SELECT id, n FROM {space}.place ORDER BY id
