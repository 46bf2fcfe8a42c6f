//! Rows and backups at rest: places to keep them, what keeps them from being changed unseen, and the form in
//! which rows lie there. The one room that names `object_store`.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

mod bucket;
mod cipher;
mod depot;
pub mod directory;
mod error;
mod objection;
mod place;
pub mod rows;
mod seal;
mod space;
mod sum;
mod upload;

pub use bucket::Access;
pub use cipher::{ENCRYPTED, Identities, Recipients, check_recipient};
pub use depot::{Depot, Stored};
pub use error::{Error, ErrorKind, Result};
pub use place::{Place, Provider};
pub use seal::{Broken, Sealed, sum};
pub use space::{free_space, in_mebibytes};
pub use sum::{Checked, Sum, Tallied, Tally, sum_of_file};
pub use upload::Upload;

/// Where bytes come from.
pub type Source = Pin<Box<dyn AsyncRead + Send>>;

/// Where bytes go to.
pub type Sink = Pin<Box<dyn AsyncWrite + Send>>;
