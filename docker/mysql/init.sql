-- Sample tables, weir's user, and what `weir setup --on shop` prints for it.

CREATE DATABASE shop;
CREATE TABLE shop.orders (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer varchar(100) NOT NULL,
  total decimal(12, 2) NOT NULL,
  placed_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE DATABASE billing;
CREATE TABLE billing.invoice (
  id bigint NOT NULL PRIMARY KEY,
  amount decimal(12, 2) NOT NULL,
  paid tinyint(1) NOT NULL
);

CREATE USER weir@'%' IDENTIFIED BY 'example';
GRANT REFERENCES ON shop.* TO weir@'%';
GRANT REFERENCES ON billing.* TO weir@'%';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO weir@'%';
GRANT SELECT ON shop.orders TO weir@'%';

CREATE DATABASE weir CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE weir.witness (
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  part int unsigned NOT NULL,
  installation char(32) NOT NULL,
  seq bigint unsigned NOT NULL,
  position longtext NOT NULL,
  restart longtext NULL,
  hops int unsigned NOT NULL,
  pending longtext NULL,
  source_identity varchar(255) NOT NULL,
  target_identity varchar(255) NOT NULL,
  updated_at datetime(6) NOT NULL,
  PRIMARY KEY (name, link, part)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE weir.missed (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  table_name varchar(255) NOT NULL,
  key_values longtext NOT NULL,
  reason varchar(16) NOT NULL,
  noted_at datetime(6) NOT NULL,
  PRIMARY KEY (id),
  KEY name_link (name, link)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE weir.dead_letter (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  source_table varchar(255) NOT NULL,
  table_name varchar(255) NOT NULL,
  row_name longtext NOT NULL,
  old_row_name longtext NULL,
  operation varchar(16) NOT NULL,
  position longtext NOT NULL,
  ordinal bigint unsigned NOT NULL,
  kind varchar(40) NOT NULL,
  error longtext NOT NULL,
  hint longtext NOT NULL,
  change_values longtext NOT NULL,
  changes bigint unsigned NOT NULL DEFAULT 1,
  attempts int unsigned NOT NULL,
  made_at datetime(6) NOT NULL,
  tried_at datetime(6) NULL,
  asked_at datetime(6) NULL,
  PRIMARY KEY (id),
  KEY row_name (name, link, table_name, row_name(255))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC;
CREATE TABLE weir.snapshot (
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  table_name varchar(255) NOT NULL,
  progress longtext NULL,
  asked longtext NULL,
  PRIMARY KEY (name, link, table_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC;
CREATE TABLE weir.flagged (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  name varchar(24) NOT NULL,
  link varchar(40) NOT NULL,
  source_table varchar(255) NOT NULL,
  table_name varchar(255) NOT NULL,
  row_name longtext NOT NULL,
  kind varchar(16) NOT NULL,
  column_name varchar(255) NULL,
  owner varchar(16) NOT NULL,
  before_value longtext NULL,
  after_value longtext NULL,
  owner_value longtext NULL,
  position longtext NOT NULL,
  ordinal bigint unsigned NOT NULL,
  committed_at datetime(6) NULL,
  made_at datetime(6) NOT NULL,
  state varchar(16) NOT NULL DEFAULT 'open',
  decided_at datetime(6) NULL,
  decided_by varchar(255) NULL,
  note longtext NULL,
  PRIMARY KEY (id),
  KEY place (name, link, `position`(1))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON weir.witness TO weir@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON weir.missed TO weir@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON weir.dead_letter TO weir@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON weir.snapshot TO weir@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON weir.flagged TO weir@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON billing.invoice TO weir@'%';
