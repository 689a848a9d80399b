SELECT k, n, w FROM {space}.k_bool ORDER BY n
SELECT k + 0, n, w FROM {space}.k_bit ORDER BY n
SELECT k, n, w FROM {space}.k_i1 ORDER BY n
SELECT k, n, w FROM {space}.k_i3 ORDER BY n
SELECT k, n, w FROM {space}.k_u4 ORDER BY n
SELECT k, n, w FROM {space}.k_u8 ORDER BY n
SELECT k, n, w FROM {space}.k_dec ORDER BY n
SELECT k, n, w FROM {space}.k_wide ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_char ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_vc ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_ci ORDER BY n
SELECT LOWER(HEX(CONVERT(k USING utf8mb4))), n, w FROM {space}.k_lat ORDER BY n
SELECT LOWER(HEX(CONVERT(k USING utf8mb4))), n, w FROM {space}.k_latci ORDER BY n
SELECT LOWER(HEX(CONVERT(k USING utf8mb4))), n, w FROM {space}.k_u3 ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_bin ORDER BY n
SELECT LOWER(HEX(k)), n, w FROM {space}.k_vb ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_date ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_time ORDER BY n
SELECT CAST(k AS CHAR), n, w FROM {space}.k_dt ORDER BY n
SELECT CAST(CONVERT_TZ(k, @@session.time_zone, '+00:00') AS CHAR), n, w FROM {space}.k_ts ORDER BY n
SELECT k + 0, n, w FROM {space}.k_year ORDER BY n
SELECT k, n, w FROM {space}.k_enum ORDER BY n
