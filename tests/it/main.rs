//! Tests that need more than one function: the tidy rules of the tree, and end-to-end runs of weir
//! against real servers.

mod tidy;

mod sandbox;
