//! Lines of an `address-family` block that FRR prints after all others: what
//! goes into the kernel, and what is taken over from other instances.

use crate::model::Prefix;
use crate::validate::no_import;

use super::row::{Apply, Args, Print, Rejection, Row};
use super::session::{Outcome, Session};

/// The rows of one family.
pub(super) fn rows<P: Prefix>() -> [Row; 3] {
    [
        Row::new(
            "table-map RMAP_NAME$map",
            "no table-map [RMAP_NAME]",
            Apply::Bgp(|bgp, args| {
                P::af_mut(bgp).table_map = args.when_on(args.text("map"));
                Ok(())
            }),
            Print::Bgp(|bgp, _| {
                let map = P::af(bgp).table_map.iter();
                map.map(|name| format!("table-map {name}")).collect()
            }),
        ),
        Row::new(
            "import vrf route-map RMAP_NAME$map",
            "no import vrf route-map [RMAP_NAME]",
            Apply::Bgp(|bgp, args| {
                P::af_mut(bgp).import_vrf_route_map = args.when_on(args.text("map"));
                Ok(())
            }),
            Print::Bgp(|bgp, _| {
                let map = P::af(bgp).import_vrf_route_map.iter();
                map.map(|name| format!("import vrf route-map {name}"))
                    .collect()
            }),
        ),
        Row::new(
            "import vrf VIEWVRFNAME$vrf",
            "no import vrf VIEWVRFNAME$vrf",
            Apply::Session(import_vrf::<P>),
            Print::Bgp(|bgp, _| {
                let names = P::af(bgp).import_vrfs.iter();
                names.map(|name| format!("import vrf {name}")).collect()
            }),
        ),
    ]
}

fn import_vrf<P: Prefix>(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let name = args.text("vrf").unwrap_or_default();
    let refused = no_import(&session.instance, &name).filter(|_| args.on);
    if let Some(message) = refused {
        return Err(Rejection::at("vrf", message));
    }
    let imports = &mut P::af_mut(session.bgp()?).import_vrfs;
    if args.on {
        imports.insert(name);
    } else {
        imports.remove(&name);
    }
    Ok(Outcome::Applied)
}
