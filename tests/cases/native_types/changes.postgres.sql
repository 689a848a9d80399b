INSERT INTO t VALUES ('10.0.0.1/24', '1 year -2 mons 3 days 04:05:06.789', '1.25 s', '{{1,NULL},{3,4}}', '{"a,b","c\"d",NULL,"NULL",""}', '{abc,d}', '{sad,"ha''ppy \"x\""}', '(1,"a,b")', '{"(2,)","(,\"x\\\"y\")"}', '12:34:56.789+05:30', '{2024-03-31 02:30:00+01,infinity}', '10101', '0110', '192.168.0.0/16', '08:00:2b:01:02:03', '(1.5,-2)', '((0,0),(1,1),(2,0))', '[1,5)', '{[2024-01-01,2024-02-01),[2025-01-01,)}', to_tsvector('english', 'The fat cats'), 'fat & !rat:A', '<a b="c">d</a>', 'x  ', 'q', 'a name', 4294967295, '16/B374D848', '$.a[*] ? (@ > 1)', '{"\\x00ff","\\xdead"}', '{1.1,NaN,-Infinity,1e300}', '{1.10,-99999999.99}', '3 days');
INSERT INTO t (id) VALUES ('::1');
UPDATE t SET i = '-1 days', ia = '[0:1]={7,8}', ta = '{}' WHERE id = '::1';
UPDATE t SET id = '10.0.0.2' WHERE id = '10.0.0.1/24';
INSERT INTO t (id, r) VALUES ('1.2.3.4', 'empty'), ('1.2.3.5', '(,)');
DELETE FROM t WHERE id = '1.2.3.4';
INSERT INTO bits VALUES ('', 'empty'), ('0', 'zero'), ('00', 'two');
UPDATE bits SET v = 'none' WHERE k = '';
DELETE FROM bits WHERE k = '0';
