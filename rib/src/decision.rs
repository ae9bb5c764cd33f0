//! The decision process (RFC 4271 section 9.1.2).

/// The step at which two paths differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Step {
    /// There was nothing to compare with.
    OnlyPath,
    /// 1. The higher weight.
    Weight,
    /// 2. The higher LOCAL_PREF.
    LocalPref,
    /// 3. A route of our own.
    LocalRoute,
    /// 4. The shorter AS path.
    AsPath,
    /// 5. The lower ORIGIN.
    Origin,
    /// 6. The lower MED.
    Med,
    /// 7. External before internal.
    PeerType,
    /// 8. The nearer next hop.
    IgpMetric,
    /// 9. The lower router ID.
    RouterId,
    /// 10. The shorter CLUSTER_LIST.
    ClusterLength,
    /// 11. The lower peer address.
    NeighborIp,
    /// 12. What is left: source, then path identifier.
    TieBreak,
}

impl Step {
    /// The text that FRR 8.4 shows as the selection reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Step::OnlyPath => "First path received",
            Step::Weight => "Weight",
            Step::LocalPref => "Local Pref",
            Step::LocalRoute => "Local Route",
            Step::AsPath => "AS Path",
            Step::Origin => "Origin",
            Step::Med => "MED",
            Step::PeerType => "Peer Type",
            Step::IgpMetric => "IGP Metric",
            Step::RouterId => "Router ID",
            Step::ClusterLength => "Cluster length",
            Step::NeighborIp => "Neighbor IP",
            Step::TieBreak => "Nothing left to compare",
        }
    }
}
