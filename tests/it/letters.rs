//! Dead letters through the port, on real servers of every kind, by a user who holds what setup grants
//! and no more: what a slice writes is there with its transaction or not at all, and people find it.

mod locks;
mod people;
mod stage;
mod writing;

use weir::sandbox::Server;

use stage::Stage;

async fn everything(server: Server) {
    let Some(stage) = Stage::start(server).await else { return };
    writing::letters_come_with_their_transaction(&stage).await;
    writing::the_closing_slice_gives_the_position(&stage).await;
    writing::what_was_undone_has_no_position(&stage).await;
    writing::folded_changes_are_counted(&stage).await;
    writing::work_is_done_in_its_order(&stage).await;
    writing::any_text_is_a_name(&stage).await;
    writing::a_refused_letter_speaks_of_no_row(&stage).await;
    people::letters_are_listed_asked_for_and_dropped(&stage).await;
    people::links_are_told_apart(&stage).await;
    locks::contention_leaves_a_good_connection(&stage).await;
    locks::links_do_not_wait_for_each_other(&stage).await;
    locks::foreign_keys_have_a_kind_of_their_own(&stage).await;
    writing::many_letters_take_a_bounded_time(&stage).await;
    people::a_missing_table_is_named(&stage).await;
}

#[tokio::test]
#[ignore = "long: make acceptance"]
async fn postgres_15() {
    everything(Server::Postgres15).await;
}

#[tokio::test]
async fn postgres_18() {
    everything(Server::Postgres18).await;
}

#[tokio::test]
async fn mariadb_1011() {
    everything(Server::MariaDb1011).await;
}

#[tokio::test]
#[ignore = "long: make acceptance"]
async fn mysql_97() {
    everything(Server::MySql97).await;
}
