//! A film rental as MySQL's best known sample has it: keys of every width of unsigned numbers, YEAR, ENUM,
//! SET, a geometry with its spatial index, full text, stamps that the server sets, triggers that fill another
//! table, views, foreign keys that cascade updates, and two tables that refer to each other and may not be
//! left empty.

/// Tables, views and triggers.
pub const TABLES: &str = "
ALTER DATABASE rental CHARACTER SET utf8mb4;
CREATE TABLE actor (actor_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, first_name VARCHAR(45) NOT NULL,
  last_name VARCHAR(45) NOT NULL, last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE
  CURRENT_TIMESTAMP, PRIMARY KEY (actor_id), KEY idx_actor_last_name (last_name));
CREATE TABLE country (country_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, country VARCHAR(50) NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (country_id));
CREATE TABLE city (city_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, city VARCHAR(50) NOT NULL,
  country_id SMALLINT UNSIGNED NOT NULL, last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON
  UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (city_id), KEY idx_fk_country_id (country_id),
  CONSTRAINT fk_city_country FOREIGN KEY (country_id) REFERENCES country (country_id)
  ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE address (address_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, address VARCHAR(50) NOT NULL,
  address2 VARCHAR(50) DEFAULT NULL, district VARCHAR(20) NOT NULL, city_id SMALLINT UNSIGNED NOT NULL,
  postal_code VARCHAR(10) DEFAULT NULL, phone VARCHAR(20) NOT NULL,
  location GEOMETRY NOT NULL /*!80003 SRID 0 */, last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
  ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (address_id), KEY idx_fk_city_id (city_id),
  SPATIAL KEY idx_location (location), CONSTRAINT fk_address_city FOREIGN KEY (city_id)
  REFERENCES city (city_id) ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE category (category_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, name VARCHAR(25) NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (category_id));
CREATE TABLE language (language_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, name CHAR(20) NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (language_id));
CREATE TABLE film (film_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, title VARCHAR(128) NOT NULL,
  description TEXT DEFAULT NULL, release_year YEAR DEFAULT NULL, language_id TINYINT UNSIGNED NOT NULL,
  original_language_id TINYINT UNSIGNED DEFAULT NULL, rental_duration TINYINT UNSIGNED NOT NULL DEFAULT 3,
  rental_rate DECIMAL(4,2) NOT NULL DEFAULT 4.99, length SMALLINT UNSIGNED DEFAULT NULL,
  replacement_cost DECIMAL(5,2) NOT NULL DEFAULT 19.99,
  rating ENUM('G','PG','PG-13','R','NC-17') DEFAULT 'G',
  special_features SET('Trailers','Commentaries','Deleted Scenes','Behind the Scenes') DEFAULT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (film_id), KEY idx_title (title), KEY idx_fk_language_id (language_id),
  CONSTRAINT fk_film_language FOREIGN KEY (language_id) REFERENCES language (language_id)
  ON DELETE RESTRICT ON UPDATE CASCADE, CONSTRAINT fk_film_language_original
  FOREIGN KEY (original_language_id) REFERENCES language (language_id) ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE film_actor (actor_id SMALLINT UNSIGNED NOT NULL, film_id SMALLINT UNSIGNED NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (actor_id, film_id), KEY idx_fk_film_id (film_id), CONSTRAINT fk_film_actor_actor
  FOREIGN KEY (actor_id) REFERENCES actor (actor_id) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT fk_film_actor_film FOREIGN KEY (film_id) REFERENCES film (film_id)
  ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE film_category (film_id SMALLINT UNSIGNED NOT NULL, category_id TINYINT UNSIGNED NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (film_id, category_id), CONSTRAINT fk_film_category_film FOREIGN KEY (film_id)
  REFERENCES film (film_id) ON DELETE RESTRICT ON UPDATE CASCADE, CONSTRAINT fk_film_category_category
  FOREIGN KEY (category_id) REFERENCES category (category_id) ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE film_text (film_id SMALLINT UNSIGNED NOT NULL, title VARCHAR(255) NOT NULL, description TEXT,
  PRIMARY KEY (film_id), FULLTEXT KEY idx_title_description (title, description)) ENGINE=InnoDB;
CREATE TRIGGER ins_film AFTER INSERT ON film FOR EACH ROW
  INSERT INTO film_text VALUES (new.film_id, new.title, new.description);
CREATE TRIGGER upd_film AFTER UPDATE ON film FOR EACH ROW
  UPDATE film_text SET title = new.title, description = new.description, film_id = new.film_id
  WHERE film_id = old.film_id;
CREATE TRIGGER del_film AFTER DELETE ON film FOR EACH ROW
  DELETE FROM film_text WHERE film_id = old.film_id;
CREATE TABLE staff (staff_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, first_name VARCHAR(45) NOT NULL,
  last_name VARCHAR(45) NOT NULL, address_id SMALLINT UNSIGNED NOT NULL, picture BLOB DEFAULT NULL,
  email VARCHAR(50) DEFAULT NULL, store_id TINYINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE,
  username VARCHAR(16) NOT NULL, password VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (staff_id), KEY idx_fk_store_id (store_id), KEY idx_fk_address_id (address_id),
  CONSTRAINT fk_staff_address FOREIGN KEY (address_id) REFERENCES address (address_id)
  ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE store (store_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT,
  manager_staff_id TINYINT UNSIGNED NOT NULL, address_id SMALLINT UNSIGNED NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (store_id), UNIQUE KEY idx_unique_manager (manager_staff_id),
  CONSTRAINT fk_store_staff FOREIGN KEY (manager_staff_id) REFERENCES staff (staff_id)
  ON DELETE RESTRICT ON UPDATE CASCADE, CONSTRAINT fk_store_address FOREIGN KEY (address_id)
  REFERENCES address (address_id) ON DELETE RESTRICT ON UPDATE CASCADE);
ALTER TABLE staff ADD CONSTRAINT fk_staff_store FOREIGN KEY (store_id) REFERENCES store (store_id)
  ON DELETE RESTRICT ON UPDATE CASCADE;
CREATE TABLE customer (customer_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  store_id TINYINT UNSIGNED NOT NULL, first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL,
  email VARCHAR(50) DEFAULT NULL, address_id SMALLINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE,
  create_date DATETIME NOT NULL, last_update TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (customer_id), KEY idx_last_name (last_name), CONSTRAINT fk_customer_address
  FOREIGN KEY (address_id) REFERENCES address (address_id) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT fk_customer_store FOREIGN KEY (store_id) REFERENCES store (store_id)
  ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TRIGGER customer_create_date BEFORE INSERT ON customer FOR EACH ROW SET NEW.create_date = NOW();
CREATE TABLE inventory (inventory_id MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT,
  film_id SMALLINT UNSIGNED NOT NULL, store_id TINYINT UNSIGNED NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (inventory_id), KEY idx_store_id_film_id (store_id, film_id), CONSTRAINT fk_inventory_store
  FOREIGN KEY (store_id) REFERENCES store (store_id) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT fk_inventory_film FOREIGN KEY (film_id) REFERENCES film (film_id)
  ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE rental (rental_id INT NOT NULL AUTO_INCREMENT, rental_date DATETIME NOT NULL,
  inventory_id MEDIUMINT UNSIGNED NOT NULL, customer_id SMALLINT UNSIGNED NOT NULL,
  return_date DATETIME DEFAULT NULL, staff_id TINYINT UNSIGNED NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (rental_id), UNIQUE KEY (rental_date, inventory_id, customer_id),
  CONSTRAINT fk_rental_staff FOREIGN KEY (staff_id) REFERENCES staff (staff_id)
  ON DELETE RESTRICT ON UPDATE CASCADE, CONSTRAINT fk_rental_inventory FOREIGN KEY (inventory_id)
  REFERENCES inventory (inventory_id) ON DELETE RESTRICT ON UPDATE CASCADE, CONSTRAINT fk_rental_customer
  FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE payment (payment_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  customer_id SMALLINT UNSIGNED NOT NULL, staff_id TINYINT UNSIGNED NOT NULL, rental_id INT DEFAULT NULL,
  amount DECIMAL(5,2) NOT NULL, payment_date DATETIME NOT NULL, last_update TIMESTAMP
  DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (payment_id),
  CONSTRAINT fk_payment_rental FOREIGN KEY (rental_id) REFERENCES rental (rental_id)
  ON DELETE SET NULL ON UPDATE CASCADE, CONSTRAINT fk_payment_customer FOREIGN KEY (customer_id)
  REFERENCES customer (customer_id) ON DELETE RESTRICT ON UPDATE CASCADE, CONSTRAINT fk_payment_staff
  FOREIGN KEY (staff_id) REFERENCES staff (staff_id) ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE VIEW customer_list AS SELECT cu.customer_id AS id, CONCAT(cu.first_name, ' ', cu.last_name) AS name,
  a.address, IF(cu.active, 'active', '') AS notes FROM customer cu JOIN address a USING (address_id);
CREATE SQL SECURITY INVOKER VIEW actor_info AS SELECT a.actor_id, GROUP_CONCAT(f.title) AS film_info
  FROM actor a LEFT JOIN film_actor fa USING (actor_id) LEFT JOIN film f USING (film_id) GROUP BY a.actor_id";

/// The tables' names.
pub const NAMES: [&str; 16] = [
    "actor",
    "address",
    "category",
    "city",
    "country",
    "customer",
    "film",
    "film_actor",
    "film_category",
    "film_text",
    "inventory",
    "language",
    "payment",
    "rental",
    "staff",
    "store",
];

/// Rows, as a dump brings them.
pub fn rows() -> String {
    let fill = |into: &str, count: u32, select: &str| {
        format!(
            "INSERT INTO {into} WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s \
             WHERE i < {count}) SELECT {select} FROM s"
        )
    };
    [
        "SET FOREIGN_KEY_CHECKS = 0".to_owned(),
        fill("actor (first_name, last_name)", 120, "CONCAT('Pénélope ', i), CONCAT('Guiness ', i)"),
        fill("country (country)", 40, "CONCAT('Country ', i)"),
        fill("city (city, country_id)", 90, "CONCAT('A Coruña ', i), 1 + i % 40"),
        fill(
            "address (address, address2, district, city_id, postal_code, phone, location)",
            200,
            "CONCAT(i, ' MySakila Drive'), IF(i % 3 = 0, NULL, ''), 'Alberta', 1 + i % 90, \
             IF(i % 5 = 0, NULL, LPAD(i, 5, '0')), '', \
             ST_GeomFromText(CONCAT('POINT(', i / 10, ' ', -i / 7, ')'))",
        ),
        fill("category (name)", 16, "CONCAT('Category ', i)"),
        "INSERT INTO language (name) VALUES ('English'), ('Italian'), ('日本語'), ('Français')".to_owned(),
        fill(
            "film (title, description, release_year, language_id, original_language_id, rental_duration, \
             rental_rate, length, replacement_cost, rating, special_features)",
            900,
            "CONCAT('ACADEMY DINOSAUR ', i), REPEAT(CONCAT('An epic drama ', i, '. '), i % 30), \
             1901 + i % 254, 1 + i % 4, IF(i % 4 = 0, 1 + i % 3, NULL), 3 + i % 5, 0.99 + i % 9, \
             46 + i % 140, 9.99 + i % 20, 1 + i % 5, IF(i % 17 = 0, NULL, i % 16)",
        ),
        fill("film_actor (actor_id, film_id)", 900, "1 + i % 120, i"),
        fill("film_category (film_id, category_id)", 900, "i, 1 + i % 16"),
        "INSERT INTO staff (first_name, last_name, address_id, picture, email, store_id, active, username, \
         password) VALUES ('Mike', 'Hillyer', 3, X'89504E470D0A1A0A00FF', 'Mike@sakila.example', 1, 1, \
         'Mike', '8cb2237d0679ca88db6464eac60da96345513964'), ('Jon', 'Stephens', 4, NULL, NULL, 2, 0, \
         'Jon', NULL)"
            .to_owned(),
        "INSERT INTO store (manager_staff_id, address_id) VALUES (1, 1), (2, 2)".to_owned(),
        fill(
            "customer (store_id, first_name, last_name, email, address_id, active, create_date)",
            180,
            "1 + i % 2, 'MARY', CONCAT('SMITH ', i), CONCAT(i, '@sakilacustomer.example'), i, i % 9 > 0, \
             '2006-02-14 22:04:36'",
        ),
        fill("inventory (film_id, store_id)", 950, "1 + i % 900, 1 + i % 2"),
        fill(
            "rental (rental_date, inventory_id, customer_id, return_date, staff_id)",
            1000,
            "'2005-05-24 22:53:30' + INTERVAL i MINUTE, 1 + i % 950, 1 + i % 180, \
             IF(i % 8 = 0, NULL, '2005-06-01 00:00:00' + INTERVAL i HOUR), 1 + i % 2",
        ),
        fill(
            "payment (customer_id, staff_id, rental_id, amount, payment_date)",
            1000,
            "1 + i % 180, 1 + i % 2, IF(i % 50 = 0, NULL, i), i % 12 + 0.99, \
             '2005-05-25 11:30:37' + INTERVAL i MINUTE",
        ),
        "SET FOREIGN_KEY_CHECKS = 1".to_owned(),
    ]
    .join("; ")
}

/// What is changed while the tables are copied.
pub fn changes(round: u32) -> Vec<String> {
    let (film, rental) = (1 + round * 17, 1 + round * 23);
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
        format!("UPDATE customer SET active = NOT active WHERE customer_id = {}", 1 + round),
        format!(
            "UPDATE film SET special_features = 'Trailers,Deleted Scenes' WHERE film_id = {}",
            film + 1
        ),
        format!(
            "UPDATE address SET location = ST_GeomFromText('POINT({round} 7)') WHERE address_id = {}",
            9 + round
        ),
        // What refers to it is emptied.
        format!("DELETE FROM rental WHERE rental_id = {rental}"),
        // What refers to it follows.
        format!(
            "UPDATE country SET country_id = {} WHERE country_id = {}",
            500 + round,
            1 + round % 40
        ),
        format!(
            "INSERT INTO payment (customer_id, staff_id, amount, payment_date) VALUES (1, 2, {round}.5, '2024-02-29 01:02:03')"
        ),
    ]
}
