SELECT id, v, n, moved, t, u, c FROM {space}.a ORDER BY id
SELECT id, v, n FROM {space}.parent ORDER BY id
SELECT id, parent, v FROM {space}.child ORDER BY id
SELECT x, y, z FROM {space}.uniq ORDER BY x
SELECT x, y, z, w FROM {space}.bare ORDER BY x
SELECT hex(k), hex(b), j FROM {space}.blobkey ORDER BY k
