SELECT k::int, n, w FROM {space}.k_bool ORDER BY n
SELECT k, n, w FROM {space}.k_i2 ORDER BY n
SELECT k, n, w FROM {space}.k_i8 ORDER BY n
SELECT k, n, w FROM {space}.k_dec ORDER BY n
SELECT k::numeric(65,30), n, w FROM {space}.k_num ORDER BY n
SELECT encode(convert_to(rtrim(k::text),'UTF8'),'hex'), n, w FROM {space}.k_char ORDER BY n
SELECT encode(convert_to(k,'UTF8'),'hex'), n, w FROM {space}.k_vc ORDER BY n
SELECT encode(convert_to(k,'UTF8'),'hex'), n, w FROM {space}.k_text ORDER BY n
SELECT encode(k,'hex'), n, w FROM {space}.k_by ORDER BY n
SELECT k::text, n, w FROM {space}.k_date ORDER BY n
SELECT to_char(k,'HH24:MI:SS.US'), n, w FROM {space}.k_time ORDER BY n
SELECT to_char(k,'YYYY-MM-DD HH24:MI:SS.US'), n, w FROM {space}.k_ts ORDER BY n
SELECT to_char(k AT TIME ZONE 'UTC','YYYY-MM-DD HH24:MI:SS.US'), n, w FROM {space}.k_tz ORDER BY n
SELECT k::text, n, w FROM {space}.k_uuid ORDER BY n
SELECT k::text, n, w FROM {space}.k_enum ORDER BY n
