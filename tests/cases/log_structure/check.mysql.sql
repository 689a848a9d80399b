SELECT id, t FROM {space}.a ORDER BY id
SELECT id, t FROM {space}.b ORDER BY id
