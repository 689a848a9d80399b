-- source
DO $weir$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir_prod_crm_billing') THEN CREATE PUBLICATION "weir_prod_crm_billing" WITH (publish = 'insert, update, delete, truncate'); ELSIF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir_prod_crm_billing' AND NOT (pubinsert AND pubupdate AND pubdelete AND pubtruncate)) THEN ALTER PUBLICATION "weir_prod_crm_billing" SET (publish = 'insert, update, delete, truncate'); END IF; IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir_prod_crm_billing' AND pubviaroot) THEN ALTER PUBLICATION "weir_prod_crm_billing" SET (publish_via_partition_root = false); END IF; END $weir$;
ALTER PUBLICATION "weir_prod_crm_billing" SET TABLE "shop"."orders", "shop"."Odd ""one""";
DO $weir$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'o''weir' AND (rolreplication OR rolsuper)) THEN NULL; ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication') THEN GRANT rds_replication TO "o'weir"; ELSE ALTER ROLE "o'weir" REPLICATION; END IF; END $weir$;
GRANT USAGE ON SCHEMA "shop" TO "o'weir";
GRANT SELECT ON "shop"."orders" TO "o'weir";
GRANT SELECT ON "shop"."Odd ""one""" TO "o'weir";

-- source that is written to
DO $weir$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir_prod_crm_billing') THEN CREATE PUBLICATION "weir_prod_crm_billing" WITH (publish = 'insert, update, delete, truncate'); ELSIF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir_prod_crm_billing' AND NOT (pubinsert AND pubupdate AND pubdelete AND pubtruncate)) THEN ALTER PUBLICATION "weir_prod_crm_billing" SET (publish = 'insert, update, delete, truncate'); END IF; IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir_prod_crm_billing' AND pubviaroot) THEN ALTER PUBLICATION "weir_prod_crm_billing" SET (publish_via_partition_root = false); END IF; END $weir$;
CREATE SCHEMA IF NOT EXISTS weir;
CREATE TABLE IF NOT EXISTS weir.witness (
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  part integer NOT NULL,
  installation char(32) NOT NULL,
  seq bigint NOT NULL,
  position text NOT NULL,
  restart text,
  hops integer NOT NULL,
  pending text,
  source_identity varchar(255) NOT NULL,
  target_identity varchar(255) NOT NULL,
  updated_at timestamp(6) NOT NULL,
  PRIMARY KEY (name, link, part)
);
ALTER PUBLICATION "weir_prod_crm_billing" SET TABLE "shop"."orders", weir.witness;
DO $weir$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'o''weir' AND (rolreplication OR rolsuper)) THEN NULL; ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication') THEN GRANT rds_replication TO "o'weir"; ELSE ALTER ROLE "o'weir" REPLICATION; END IF; END $weir$;
GRANT USAGE ON SCHEMA "shop" TO "o'weir";
GRANT SELECT ON "shop"."orders" TO "o'weir";

-- target
CREATE SCHEMA IF NOT EXISTS weir;
CREATE TABLE IF NOT EXISTS weir.witness (
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  part integer NOT NULL,
  installation char(32) NOT NULL,
  seq bigint NOT NULL,
  position text NOT NULL,
  restart text,
  hops integer NOT NULL,
  pending text,
  source_identity varchar(255) NOT NULL,
  target_identity varchar(255) NOT NULL,
  updated_at timestamp(6) NOT NULL,
  PRIMARY KEY (name, link, part)
);
CREATE TABLE IF NOT EXISTS weir.missed (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  table_name varchar(255) NOT NULL,
  key_values text NOT NULL,
  reason varchar(16) NOT NULL,
  noted_at timestamp(6) NOT NULL
);
CREATE INDEX IF NOT EXISTS missed_name_link ON weir.missed (name, link);
CREATE TABLE IF NOT EXISTS weir.dead_letter (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  source_table varchar(255) NOT NULL,
  table_name varchar(255) NOT NULL,
  row_name text NOT NULL,
  old_row_name text,
  operation varchar(16) NOT NULL,
  position text NOT NULL,
  ordinal bigint NOT NULL,
  kind varchar(40) NOT NULL,
  error text NOT NULL,
  hint text NOT NULL,
  change_values text NOT NULL,
  changes bigint NOT NULL DEFAULT 1,
  attempts integer NOT NULL,
  made_at timestamp(6) NOT NULL,
  tried_at timestamp(6),
  asked_at timestamp(6)
);
CREATE INDEX IF NOT EXISTS dead_letter_row ON weir.dead_letter (name, link, table_name, hashtextextended(row_name, 0));
CREATE TABLE IF NOT EXISTS weir.snapshot (
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  table_name varchar(255) NOT NULL,
  progress text,
  asked text,
  PRIMARY KEY (name, link, table_name)
);
CREATE TABLE IF NOT EXISTS weir.flagged (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  source_table varchar(255) NOT NULL,
  table_name varchar(255) NOT NULL,
  row_name text NOT NULL,
  kind varchar(16) NOT NULL,
  column_name varchar(255),
  owner varchar(16) NOT NULL,
  before_value text,
  after_value text,
  owner_value text,
  position text NOT NULL,
  ordinal bigint NOT NULL,
  committed_at timestamp(6),
  made_at timestamp(6) NOT NULL,
  state varchar(16) NOT NULL DEFAULT 'open',
  decided_at timestamp(6),
  decided_by varchar(255),
  note text
);
CREATE INDEX IF NOT EXISTS flagged_unplaced ON weir.flagged (name, link) WHERE position = '';
GRANT USAGE ON SCHEMA weir TO "o'weir";
GRANT SELECT, INSERT, UPDATE, DELETE ON weir.witness, weir.missed, weir.dead_letter, weir.snapshot, weir.flagged TO "o'weir";
GRANT USAGE ON SCHEMA "shop" TO "o'weir";
GRANT SELECT, INSERT, UPDATE, DELETE ON "shop"."orders" TO "o'weir";
GRANT SELECT, INSERT, UPDATE, DELETE ON "shop"."Odd ""one""" TO "o'weir";
DO $weir$ BEGIN EXECUTE pg_catalog.format('GRANT SELECT, UPDATE ON SEQUENCE %s TO "o''weir"', pg_catalog.pg_get_serial_sequence('"shop"."Odd ""one"""', 'id')); END $weir$;
GRANT SELECT, UPDATE ON SEQUENCE "shop"."Odd numbers" TO "o'weir";
GRANT USAGE ON SEQUENCE "shop"."Odd numbers" TO "o'weir";

-- teardown of the source
SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = 'weir_prod_crm_billing';
DROP PUBLICATION IF EXISTS "weir_prod_crm_billing";

-- teardown of the target
DO $weir$ BEGIN IF pg_catalog.to_regclass('weir.flagged') IS NOT NULL AND pg_catalog.to_regclass('weir.witness') IS NOT NULL THEN DELETE FROM weir.flagged WHERE name = 'prod' AND link = 'crm:billing' AND NOT EXISTS (SELECT FROM weir.witness WHERE name = 'prod' AND link = 'crm:billing' AND installation <> '0f'); END IF; END $weir$;
DO $weir$ BEGIN IF pg_catalog.to_regclass('weir.snapshot') IS NOT NULL AND pg_catalog.to_regclass('weir.witness') IS NOT NULL THEN DELETE FROM weir.snapshot WHERE name = 'prod' AND link = 'crm:billing' AND NOT EXISTS (SELECT FROM weir.witness WHERE name = 'prod' AND link = 'crm:billing' AND installation <> '0f'); END IF; END $weir$;
DO $weir$ BEGIN IF pg_catalog.to_regclass('weir.dead_letter') IS NOT NULL AND pg_catalog.to_regclass('weir.witness') IS NOT NULL THEN DELETE FROM weir.dead_letter WHERE name = 'prod' AND link = 'crm:billing' AND NOT EXISTS (SELECT FROM weir.witness WHERE name = 'prod' AND link = 'crm:billing' AND installation <> '0f'); END IF; END $weir$;
DO $weir$ BEGIN IF pg_catalog.to_regclass('weir.missed') IS NOT NULL AND pg_catalog.to_regclass('weir.witness') IS NOT NULL THEN DELETE FROM weir.missed WHERE name = 'prod' AND link = 'crm:billing' AND NOT EXISTS (SELECT FROM weir.witness WHERE name = 'prod' AND link = 'crm:billing' AND installation <> '0f'); END IF; END $weir$;
DO $weir$ BEGIN IF pg_catalog.to_regclass('weir.witness') IS NOT NULL THEN DELETE FROM weir.witness WHERE name = 'prod' AND link = 'crm:billing' AND installation = '0f'; END IF; END $weir$;

