//! Events from kernel programs.
