//! What nobody wishes for, and what must hold all the same.

mod kills;
mod storms;
