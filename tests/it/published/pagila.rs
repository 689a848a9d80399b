//! The same film rental as PostgreSQL's best known sample has it: serial columns, domains with checks, an
//! enum, arrays, full text kept by a trigger, generated columns, partitions with keys of their own, stamps set
//! by triggers, views, an aggregate, and two tables that refer to each other and may not be left empty.

/// Types, tables, views and triggers.
pub const TABLES: &str = "
CREATE TYPE mpaa_rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN year AS integer CONSTRAINT year_check CHECK (VALUE >= 1901 AND VALUE <= 2155);
CREATE FUNCTION last_updated() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.last_update = CURRENT_TIMESTAMP; RETURN NEW; END';
CREATE FUNCTION _group_concat(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS
  'SELECT CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || '', '' || $2 END';
CREATE AGGREGATE group_concat(text) (SFUNC = _group_concat, STYPE = text);
CREATE TABLE actor (actor_id serial PRIMARY KEY, first_name varchar(45) NOT NULL,
  last_name varchar(45) NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE country (country_id serial PRIMARY KEY, country varchar(50) NOT NULL,
  last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE city (city_id serial PRIMARY KEY, city varchar(50) NOT NULL, country_id smallint NOT NULL,
  last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE address (address_id serial PRIMARY KEY, address varchar(50) NOT NULL, address2 varchar(50),
  district varchar(20) NOT NULL, city_id smallint NOT NULL, postal_code varchar(10),
  phone varchar(20) NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE category (category_id serial PRIMARY KEY, name varchar(25) NOT NULL,
  last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE language (language_id serial PRIMARY KEY, name character(20) NOT NULL,
  last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE film (film_id serial PRIMARY KEY, title varchar(255) NOT NULL, description text,
  release_year year, language_id smallint NOT NULL, original_language_id smallint,
  rental_duration smallint DEFAULT 3 NOT NULL, rental_rate numeric(4,2) DEFAULT 4.99 NOT NULL,
  length smallint, replacement_cost numeric(5,2) DEFAULT 19.99 NOT NULL,
  rating mpaa_rating DEFAULT 'G', last_update timestamptz DEFAULT now() NOT NULL,
  special_features text[], fulltext tsvector NOT NULL,
  revenue_projection numeric(5,2) GENERATED ALWAYS AS (rental_duration * rental_rate) STORED);
CREATE TABLE film_actor (actor_id smallint NOT NULL, film_id smallint NOT NULL,
  last_update timestamptz DEFAULT now() NOT NULL, PRIMARY KEY (actor_id, film_id));
CREATE TABLE film_category (film_id smallint NOT NULL, category_id smallint NOT NULL,
  last_update timestamptz DEFAULT now() NOT NULL, PRIMARY KEY (film_id, category_id));
CREATE TABLE staff (staff_id serial PRIMARY KEY, first_name varchar(45) NOT NULL,
  last_name varchar(45) NOT NULL, address_id smallint NOT NULL, email varchar(50), store_id smallint NOT NULL,
  active boolean DEFAULT true NOT NULL, username varchar(16) NOT NULL, password varchar(40),
  last_update timestamptz DEFAULT now() NOT NULL, picture bytea);
CREATE TABLE store (store_id serial PRIMARY KEY, manager_staff_id smallint NOT NULL,
  address_id smallint NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE customer (customer_id serial PRIMARY KEY, store_id smallint NOT NULL,
  first_name varchar(45) NOT NULL, last_name varchar(45) NOT NULL, email varchar(50),
  address_id smallint NOT NULL, activebool boolean DEFAULT true NOT NULL,
  create_date date DEFAULT CURRENT_DATE NOT NULL, last_update timestamptz DEFAULT now(), active integer);
CREATE TABLE inventory (inventory_id serial PRIMARY KEY, film_id smallint NOT NULL,
  store_id smallint NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE rental (rental_id serial PRIMARY KEY, rental_date timestamptz NOT NULL,
  inventory_id integer NOT NULL, customer_id smallint NOT NULL, return_date timestamptz,
  staff_id smallint NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE payment (payment_id serial NOT NULL, customer_id smallint NOT NULL, staff_id smallint NOT NULL,
  rental_id integer NOT NULL, amount numeric(5,2) NOT NULL, payment_date timestamptz NOT NULL,
  PRIMARY KEY (payment_date, payment_id)) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2022_01 PARTITION OF payment FOR VALUES
  FROM ('2022-01-01 00:00:00+00') TO ('2022-02-01 00:00:00+00');
CREATE TABLE payment_p2022_02 PARTITION OF payment FOR VALUES
  FROM ('2022-02-01 00:00:00+00') TO ('2022-03-01 00:00:00+00');
CREATE TABLE payment_p2022_03 (payment_id integer NOT NULL, customer_id smallint NOT NULL,
  staff_id smallint NOT NULL, rental_id integer NOT NULL, amount numeric(5,2) NOT NULL,
  payment_date timestamptz NOT NULL, PRIMARY KEY (payment_date, payment_id));
ALTER TABLE payment ATTACH PARTITION payment_p2022_03 FOR VALUES
  FROM ('2022-03-01 00:00:00+00') TO ('2022-04-01 00:00:00+00');
CREATE UNIQUE INDEX idx_unq_manager_staff_id ON store (manager_staff_id);
CREATE UNIQUE INDEX idx_unq_rental ON rental (rental_date, inventory_id, customer_id);
CREATE INDEX film_fulltext_idx ON film USING gist (fulltext);
CREATE INDEX idx_title ON film (title);
ALTER TABLE city ADD FOREIGN KEY (country_id) REFERENCES country ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE address ADD FOREIGN KEY (city_id) REFERENCES city ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film ADD FOREIGN KEY (language_id) REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film ADD FOREIGN KEY (original_language_id) REFERENCES language ON UPDATE CASCADE;
ALTER TABLE film_actor ADD FOREIGN KEY (actor_id) REFERENCES actor ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_actor ADD FOREIGN KEY (film_id) REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_category ADD FOREIGN KEY (film_id) REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE film_category ADD FOREIGN KEY (category_id) REFERENCES category ON UPDATE CASCADE;
ALTER TABLE staff ADD FOREIGN KEY (address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE store ADD FOREIGN KEY (address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE customer ADD FOREIGN KEY (address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE customer ADD FOREIGN KEY (store_id) REFERENCES store ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE inventory ADD FOREIGN KEY (film_id) REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE inventory ADD FOREIGN KEY (store_id) REFERENCES store ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE rental ADD FOREIGN KEY (inventory_id) REFERENCES inventory ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE rental ADD FOREIGN KEY (customer_id) REFERENCES customer ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE rental ADD FOREIGN KEY (staff_id) REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE payment_p2022_01 ADD FOREIGN KEY (customer_id) REFERENCES customer;
ALTER TABLE payment_p2022_02 ADD FOREIGN KEY (rental_id) REFERENCES rental;
CREATE VIEW actor_info AS SELECT a.actor_id, group_concat(f.title::text) AS film_info FROM actor a
  LEFT JOIN film_actor fa USING (actor_id) LEFT JOIN film f USING (film_id) GROUP BY a.actor_id;
CREATE MATERIALIZED VIEW rental_by_category AS SELECT fc.category_id, sum(f.rental_rate) AS total
  FROM film f JOIN film_category fc USING (film_id) GROUP BY fc.category_id;
CREATE TRIGGER film_fulltext_trigger BEFORE INSERT OR UPDATE ON film FOR EACH ROW EXECUTE FUNCTION
  tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title', 'description');
CREATE TRIGGER last_updated BEFORE UPDATE ON film FOR EACH ROW EXECUTE FUNCTION last_updated();
CREATE TRIGGER last_updated BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION last_updated()";

/// Rows, and then the references in a circle, as a dump brings them.
pub const ROWS: &str = "
INSERT INTO actor (first_name, last_name) SELECT 'Pénélope ' || i, 'Guiness ' || i FROM generate_series(1, 120) i;
INSERT INTO country (country) SELECT 'Country ' || i FROM generate_series(1, 40) i;
INSERT INTO city (city, country_id) SELECT 'A Coruña ' || i, 1 + i % 40 FROM generate_series(1, 90) i;
INSERT INTO address (address, address2, district, city_id, postal_code, phone)
  SELECT i || ' MySakila Drive', CASE WHEN i % 3 > 0 THEN '' END, 'Alberta', 1 + i % 90,
  CASE WHEN i % 5 > 0 THEN lpad(i::text, 5, '0') END, '' FROM generate_series(1, 200) i;
INSERT INTO category (name) SELECT 'Category ' || i FROM generate_series(1, 16) i;
INSERT INTO language (name) VALUES ('English'), ('Italian'), ('日本語'), ('Français');
INSERT INTO film (title, description, release_year, language_id, original_language_id, rental_duration,
  rental_rate, length, replacement_cost, rating, special_features)
  SELECT 'ACADEMY DINOSAUR ' || i, repeat('An epic drama ' || i || '. ', i % 30), 1901 + i % 254, 1 + i % 4,
  CASE WHEN i % 4 = 0 THEN 1 + i % 3 END, 3 + i % 5, 0.99 + i % 9, 46 + i % 140, 9.99 + i % 20,
  (enum_range(NULL::mpaa_rating))[1 + i % 5],
  CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE ARRAY['Trailers', 'Behind the \"Scenes\"', NULL] END
  FROM generate_series(1, 900) i;
INSERT INTO film_actor (actor_id, film_id) SELECT 1 + i % 120, i FROM generate_series(1, 900) i;
INSERT INTO film_category (film_id, category_id) SELECT i, 1 + i % 16 FROM generate_series(1, 900) i;
INSERT INTO staff (first_name, last_name, address_id, email, store_id, active, username, password, picture)
  VALUES ('Mike', 'Hillyer', 3, 'Mike@sakila.example', 1, true, 'Mike', '8cb2237d0679ca88db6464eac60da963',
  '\\x89504e470d0a1a0a00ff'), ('Jon', 'Stephens', 4, NULL, 2, false, 'Jon', NULL, NULL);
INSERT INTO store (manager_staff_id, address_id) VALUES (1, 1), (2, 2);
INSERT INTO customer (store_id, first_name, last_name, email, address_id, activebool, create_date, active)
  SELECT 1 + i % 2, 'MARY', 'SMITH ' || i, i || '@sakilacustomer.example', i, i % 9 > 0, '2022-02-14', i % 2
  FROM generate_series(1, 180) i;
INSERT INTO inventory (film_id, store_id) SELECT 1 + i % 900, 1 + i % 2 FROM generate_series(1, 950) i;
INSERT INTO rental (rental_date, inventory_id, customer_id, return_date, staff_id)
  SELECT '2022-05-24 22:53:30+00'::timestamptz + i * interval '1 minute', 1 + i % 950, 1 + i % 180,
  CASE WHEN i % 8 > 0 THEN '2022-06-01 00:00:00.123456+00'::timestamptz + i * interval '1 hour' END, 1 + i % 2
  FROM generate_series(1, 1000) i;
INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
  SELECT 1 + i % 180, 1 + i % 2, i, i % 12 + 0.99, '2022-01-01 00:00:00+00'::timestamptz + i * interval '2 hours'
  FROM generate_series(1, 1000) i;
ALTER TABLE staff ADD CONSTRAINT staff_store_id_fkey FOREIGN KEY (store_id) REFERENCES store
  ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE store ADD CONSTRAINT store_manager_staff_id_fkey FOREIGN KEY (manager_staff_id) REFERENCES staff
  ON UPDATE CASCADE ON DELETE RESTRICT;
REFRESH MATERIALIZED VIEW rental_by_category";

/// The tables' names.
pub const NAMES: [&str; 15] = [
    "actor",
    "address",
    "category",
    "city",
    "country",
    "customer",
    "film",
    "film_actor",
    "film_category",
    "inventory",
    "language",
    "payment",
    "rental",
    "staff",
    "store",
];

/// What is changed while the tables are copied.
pub fn changes(round: u32) -> Vec<String> {
    let film = 1 + round * 17;
    vec![
        format!(
            "UPDATE film SET length = {}, title = 'NEW {round}' WHERE film_id = {film}",
            50 + round
        ),
        format!(
            "INSERT INTO film (film_id, title, language_id) VALUES ({}, 'LATE', 1)",
            2_000 + round
        ),
        format!("DELETE FROM film WHERE film_id = {}", 1_999 + round),
        format!(
            "UPDATE customer SET activebool = NOT activebool WHERE customer_id = {}",
            1 + round
        ),
        format!(
            "UPDATE film SET special_features = ARRAY['Trailers', 'a,b'] WHERE film_id = {}",
            film + 1
        ),
        // To another partition.
        format!(
            "UPDATE payment SET payment_date = payment_date + interval '31 days' WHERE payment_id = {}",
            1 + round
        ),
        format!("DELETE FROM payment WHERE payment_id = {}", 700 + round),
        // What refers to it follows.
        format!(
            "UPDATE country SET country_id = {} WHERE country_id = {}",
            500 + round,
            1 + round % 40
        ),
        format!(
            "INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date) VALUES (1, 2, 7, {round}.5, '2022-03-29 01:02:03+00')"
        ),
    ]
}
