CREATE TYPE mood AS ENUM ('sad', 'ok', 'ha''ppy "x"');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS interval(2) CHECK (VALUE < interval '1 year');
CREATE TABLE t (id inet PRIMARY KEY, i interval, i2 interval(2), ia int[], ta text[], va varchar(3)[], m mood[], p pair, pa pair[], tz timetz, tza timestamptz[], b bit(5), vb varbit(7), c cidr, ma macaddr, pt point, poly polygon, r int4range, mr datemultirange, ts tsvector, tq tsquery, x xml, bc bpchar, ch "char", n name, o oid, l pg_lsn, jp jsonpath, ba bytea[], fa float8[], na numeric(10,2)[], d short);
CREATE TABLE bits (k varbit PRIMARY KEY, v text);
