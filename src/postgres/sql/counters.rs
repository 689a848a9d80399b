//! Statements on the counters that number new rows.

/// The counters of columns of whole numbers, by schemas `$1` and names `$2` of tables: schema, table,
/// column, the sequence as SQL names it, whether it counts downwards, whether weir may set it, its role.
/// A sequence is a column's where the column is an identity, or takes its default from it.
pub const OF_TABLES: &str = "
SELECT n.nspname::text, c.relname::text, a.attname::text,
       format('%I.%I', sn.nspname, s.relname), q.seqincrement < 0,
       has_sequence_privilege(s.oid, 'SELECT') AND has_sequence_privilege(s.oid, 'UPDATE'),
       quote_ident(current_user)
FROM unnest($1::text[], $2::text[]) AS t(nsp, rel)
JOIN pg_namespace n ON n.nspname = t.nsp
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.rel
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attgenerated = ''
CROSS JOIN LATERAL (
  WITH RECURSIVE r(depth, oid) AS (
    SELECT 0, a.atttypid UNION ALL
    SELECT r.depth + 1, p.typbasetype FROM r JOIN pg_type p ON p.oid = r.oid WHERE p.typtype = 'd')
  SELECT oid FROM r ORDER BY depth DESC LIMIT 1) AS b
CROSS JOIN LATERAL (
  SELECT d.objid AS oid FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'i'
  UNION
  SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d
    ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
  WHERE f.adrelid = c.oid AND f.adnum = a.attnum) AS u
JOIN pg_class s ON s.oid = u.oid AND s.relkind = 'S'
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
WHERE b.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
ORDER BY 1, 2, a.attnum, 4";

/// Sets a sequence past the values of a column that it could have given, unless it is past them.
pub fn pass(table: &str, column: &str, sequence: &str, falling: bool) -> String {
    let (last, further, as_far) = match falling {
        true => ("min", ">", ">="),
        false => ("max", "<", "<="),
    };
    let round = if falling { "floor" } else { "ceil" };
    let literal = super::literal(sequence);
    format!(
        "SELECT setval({literal}::regclass, m.last) FROM {sequence} AS s, \
         (SELECT {round}({last}(t.{column})::numeric)::int8 AS last FROM {table} AS t \
         WHERE t.{column} BETWEEN (SELECT seqmin FROM pg_sequence WHERE seqrelid = {literal}::regclass) \
         AND (SELECT seqmax FROM pg_sequence WHERE seqrelid = {literal}::regclass)) AS m \
         WHERE CASE WHEN s.is_called THEN s.last_value {further} m.last \
         ELSE s.last_value {as_far} m.last END"
    )
}
