SELECT COUNT(*), SUM(CHAR_LENGTH(v)), SUM(CHAR_LENGTH(b)) FROM {space}.p
SELECT id, v, hex(b), j FROM {space}.p WHERE id < 20 OR id > 2990 ORDER BY id
SELECT id, v FROM {space}.q ORDER BY id
