SELECT * FROM {space}.t ORDER BY id
SELECT k, v FROM {space}.bits ORDER BY k
