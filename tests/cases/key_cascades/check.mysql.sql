SELECT id, name FROM {space}.parent ORDER BY id
SELECT id, parent_id, note FROM {space}.child ORDER BY id
SELECT id, child_id FROM {space}.leaf ORDER BY id
