//! longsum summarizes documents of any length on one machine.

pub mod cache;
pub mod load;
pub mod model;
