//! Policies in a form that decides quickly.

mod as_path_list;
mod aspect;
mod change;
mod community_list;
mod compiler;
mod condition;
mod linker;
mod lists;
mod pattern;
mod prefix_list;
mod prefix_table;
mod roa;
mod route;
mod route_map;
mod trace;
mod walk;

pub use as_path_list::{AsPathList, PathPattern};
pub use community_list::{CommunityList, Comparable};
pub use compiler::{CompileErrors, Compiler, Policies};
pub use lists::{CompileError, Object, ObjectKind};
pub use pattern::{Pattern, PatternError};
pub use prefix_list::{AccessList, ListVerdict, PrefixList, PrefixNet};
pub use roa::{RoaTable, origin_of};
pub use route::{Changed, Direction, RouteView, source_protocol};
pub use route_map::{Applied, CompiledRouteMap, Counters, EntryHits};
pub use trace::{Step, Trace};

pub(crate) use walk::{Memo, NoVisitor, Outcome, number};
