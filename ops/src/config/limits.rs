//! Every cap of the configuration file.

/// Classes, at most: every message is judged by each of them.
pub const CLASSES_MAX: usize = 256;
/// Octets of one expression, at most; a list of some thousand hardware addresses fits.
pub const EXPRESSION_LEN_MAX: usize = 64 << 10;
/// How deep an expression may be nested.
pub const EXPRESSION_DEPTH_MAX: usize = 32;
/// Questions in one expression, at most. A list is one.
pub const EXPRESSION_QUESTIONS_MAX: usize = 256;
/// Questions in the expressions of all classes together, at most.
pub const CLASS_QUESTIONS_MAX: usize = 4096;
/// Reservations by expression in one subnet, at most: each is judged for every message from its link.
pub const EXPRESSION_RESERVATIONS_MAX: usize = 64;
