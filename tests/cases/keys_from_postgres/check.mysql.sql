SELECT k, n, w FROM {space}.k_bool ORDER BY n
SELECT k, n, w FROM {space}.k_i2 ORDER BY n
SELECT k, n, w FROM {space}.k_i8 ORDER BY n
SELECT k, n, w FROM {space}.k_dec ORDER BY n
SELECT k, n, w FROM {space}.k_num ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_char ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_vc ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_text ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_by ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_date ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_time ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_ts ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_tz ORDER BY n
SELECT k, n, w FROM {space}.k_uuid ORDER BY n
SELECT k, n, w FROM {space}.k_enum ORDER BY n
