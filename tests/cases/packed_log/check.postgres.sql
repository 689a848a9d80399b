SELECT COUNT(*), SUM(CHAR_LENGTH(v)), SUM(LENGTH(b)) FROM {space}.p
SELECT id, v, upper(encode(b, 'hex')), j FROM {space}.p WHERE id < 20 OR id > 2990 ORDER BY id
SELECT id, v FROM {space}.q ORDER BY id
