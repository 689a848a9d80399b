SELECT id, name FROM {space}.parent ORDER BY id
SELECT id, parent_id FROM {space}.child ORDER BY id
