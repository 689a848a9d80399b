//! Which column pairs may cross, and how (type-mapping §1–3). Decided once, at plan time.

/// The compiled conversion of one column pair: everything `coerce` needs to convert a value and
/// check its fit, without looking at either column again.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// Placeholder variant until the pair table is in.
    Identity,
}

/// What a pair may lose, as `weir explain` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossClass {
    /// Every value crosses and comes back.
    Exact,
    /// Every value crosses into a wider type.
    Widening,
    /// Values that do not fit are refused.
    RangeChecked,
}
