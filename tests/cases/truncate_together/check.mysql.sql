SELECT id, a FROM {space}.parent ORDER BY id
SELECT id, parent_id, n FROM {space}.child ORDER BY id
SELECT count(*), max(child_id) FROM {space}.grandchild
SELECT id, up FROM {space}.node ORDER BY id
SELECT id, a FROM {space}.other ORDER BY id
