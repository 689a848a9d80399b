SELECT id, d, v, n FROM {space}.m ORDER BY id
SELECT id, m_id, m_d FROM {space}.c ORDER BY id
SELECT id, v FROM {space}.h ORDER BY id
