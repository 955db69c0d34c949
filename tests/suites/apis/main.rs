//! Every endpoint by every path: routed by the same names, recorded in the same shape. Forms pass while they come. What
//! a route bounds is refused or clamped.

mod answers;
mod bounds;
mod forms;
mod plan;
mod routing;
