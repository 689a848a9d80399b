//! The demo's workload: a small shop on PostgreSQL that has been trading for a while, and goes on to take
//! orders, change and cancel them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::sandbox::Running;

/// Tables of the shop.
pub(super) const TABLES: &str = "
CREATE TABLE customer (id bigint PRIMARY KEY, email varchar(80) NOT NULL UNIQUE, name varchar(60) NOT NULL,
  vip boolean NOT NULL, born date, created timestamptz(6) NOT NULL);
CREATE TABLE product (sku uuid PRIMARY KEY, title text NOT NULL, price numeric(12,2) NOT NULL, attributes jsonb);
CREATE TABLE purchase (id bigint PRIMARY KEY, customer_id bigint NOT NULL, state varchar(12) NOT NULL,
  total numeric(14,2) NOT NULL, placed timestamp(6) NOT NULL);
CREATE TABLE purchase_line (purchase_id bigint, line int, sku uuid NOT NULL, quantity int NOT NULL,
  PRIMARY KEY (purchase_id, line));
";

/// What the shop has from before.
const CUSTOMERS: u64 = 10_000;
const PRODUCTS: u64 = 2_000;
const PURCHASES: u64 = 40_000;
const LINES: u64 = 3;
/// Rows of all tables from before.
pub(super) const STOCK: u64 = CUSTOMERS + PRODUCTS + PURCHASES * (1 + LINES);

/// Pause between transactions: about a hundred a second.
const PAUSE: Duration = Duration::from_millis(8);

/// One connection of the application.
pub(super) struct Shop {
    client: tokio_postgres::Client,
    random: fastrand::Rng,
    customers: u64,
    products: u64,
    purchases: u64,
}

fn failed(cause: tokio_postgres::Error) -> Error {
    Error::new(Kind::Statement, "the demo's workload failed").caused_by(cause)
}

impl Shop {
    /// Connects to the source.
    pub(super) async fn open(source: &Running) -> Result<Shop> {
        let client = source.connect_pg().await.map_err(super::stage::server)?;
        let random = fastrand::Rng::with_seed(7);
        let (customers, products, purchases) = (CUSTOMERS, PRODUCTS, PURCHASES);
        Ok(Shop { client, random, customers, products, purchases })
    }

    /// Trades until told to stop; returns the number of transactions.
    pub(super) async fn trade(mut self, stop: Arc<AtomicBool>) -> Result<u64> {
        let mut transactions = 0;
        while !stop.load(Ordering::Relaxed) {
            let statements = self.next_transaction();
            self.client
                .batch_execute(&format!("BEGIN; {statements} COMMIT;"))
                .await
                .map_err(failed)?;
            transactions += 1;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(transactions)
    }

    fn next_transaction(&mut self) -> String {
        if self.random.u8(..) < 30 {
            return self.new_customer() + &self.new_product();
        }
        match self.random.u8(0..10) {
            0..=4 => self.purchase(),
            5 | 6 => self.ship(),
            7 => self.cancel(),
            8 => self.reprice(),
            _ => self.rename(),
        }
    }

    fn new_customer(&mut self) -> String {
        self.customers += 1;
        let id = self.customers;
        let vip = self.random.bool();
        format!(
            "INSERT INTO customer VALUES ({id}, 'customer{id}@example.org', 'Zoë O''Neil {id}', {vip}, \
             date '1960-02-29' + {}, clock_timestamp());",
            self.random.u32(0..15_000)
        )
    }

    fn new_product(&mut self) -> String {
        self.products += 1;
        let id = self.products;
        format!(
            "INSERT INTO product VALUES ({}, 'Größe {id} ☕', {}.{:02}, \
             '{{\"color\": \"red\", \"weight\": {id}, \"tags\": [\"a\", null, true]}}');",
            sku(id),
            self.random.u32(1..500),
            self.random.u32(0..100)
        )
    }

    fn purchase(&mut self) -> String {
        self.purchases += 1;
        let id = self.purchases;
        let customer = self.random.u64(1..=self.customers);
        let mut text = format!(
            "INSERT INTO purchase VALUES ({id}, {customer}, 'open', 0, clock_timestamp());"
        );
        for line in 1..=self.random.u32(1..6) {
            let product = sku(self.random.u64(1..=self.products));
            let quantity = self.random.u32(1..9);
            text +=
                &format!("INSERT INTO purchase_line VALUES ({id}, {line}, {product}, {quantity});");
        }
        text + &format!(
            "UPDATE purchase SET total = (SELECT sum(l.quantity * p.price) FROM purchase_line l \
             JOIN product p USING (sku) WHERE l.purchase_id = {id}) WHERE id = {id};"
        )
    }

    fn ship(&mut self) -> String {
        let id = self.random.u64(1..=self.purchases);
        format!("UPDATE purchase SET state = 'shipped' WHERE id BETWEEN {id} AND {};", id + 3)
    }

    fn cancel(&mut self) -> String {
        let id = self.random.u64(1..=self.purchases);
        format!(
            "DELETE FROM purchase_line WHERE purchase_id = {id}; DELETE FROM purchase WHERE id = {id};"
        )
    }

    fn reprice(&mut self) -> String {
        format!(
            "UPDATE product SET price = price * 1.01 WHERE sku = {};",
            sku(self.random.u64(1..=self.products))
        )
    }

    fn rename(&mut self) -> String {
        let id = self.random.u64(1..=self.customers);
        format!("UPDATE customer SET name = 'Łukasz {id}', vip = NOT vip WHERE id = {id};")
    }
}

/// Statements that fill the tables with what is there before weir starts.
pub(super) fn stock() -> String {
    let sku = |number: &str| {
        format!("('00000000-0000-4000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid")
    };
    let (own, sold) = (sku("n"), sku(&format!("1 + (n * 7 + line) % {PRODUCTS}")));
    format!(
        "INSERT INTO customer SELECT n, 'customer' || n || '@example.org', 'Zoë O''Neil ' || n, n % 3 = 0,
           date '1960-02-29' + (n % 15000)::int, timestamptz '2024-02-29 12:34:56.789+00' + n * interval '1 minute'
           FROM generate_series(1, {CUSTOMERS}) n;
         INSERT INTO product SELECT {own}, 'Größe ' || n || ' ☕', n % 500 + 0.99,
           jsonb_build_object('color', 'red', 'weight', n, 'tags', jsonb_build_array('a', NULL, true))
           FROM generate_series(1, {PRODUCTS}) n;
         INSERT INTO purchase SELECT n, 1 + n % {CUSTOMERS}, 'shipped', n % 1000 + 0.5,
           timestamp '2024-03-01 08:00:00.25' + n * interval '1 minute' FROM generate_series(1, {PURCHASES}) n;
         INSERT INTO purchase_line SELECT n, line, {sold}, 1 + (n % 8)::int
           FROM generate_series(1, {PURCHASES}) n, generate_series(1, {LINES}) line;"
    )
}

fn sku(id: u64) -> String {
    format!("uuid '00000000-0000-4000-8000-{id:012x}'")
}
