//! Two routers in one process: each is a few lines, and they exchange a route
//! over loopback. `cargo run --example embed`

use std::time::Duration;

use holdfast::api::v1;
use holdfast::config::{Leniency, Spelling, parse_str};
use holdfast::{Speaker, SpeakerOptions};

async fn router(
    listen: &str,
    next_hop: &str,
    text: &str,
) -> Result<Speaker, Box<dyn std::error::Error>> {
    let config = parse_str("embedded", text, Spelling::Frr, Leniency::Strict)
        .map_err(|errors| errors[0].clone())?
        .config;
    let speaker = Speaker::start(SpeakerOptions {
        listen: vec![listen.parse()?],
        // No peer may use a loopback address as a next hop.
        next_hop_v4: Some(next_hop.parse()?),
        ..SpeakerOptions::default()
    })
    .await?;
    speaker.configure(config).await?;
    Ok(speaker)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The one that only listens comes first: a refused connection is tried
    // again only after the ConnectRetry time.
    let right = router(
        "127.0.0.2:11790",
        "192.0.2.2",
        "router bgp 65002
          bgp router-id 192.0.2.2
          no bgp ebgp-requires-policy
          neighbor 127.0.0.1 remote-as 65001
          neighbor 127.0.0.1 passive",
    )
    .await?;
    let left = router(
        "127.0.0.1:11790",
        "192.0.2.1",
        "router bgp 65001
          bgp router-id 192.0.2.1
          no bgp ebgp-requires-policy
          neighbor 127.0.0.2 remote-as 65002
          neighbor 127.0.0.2 port 11790
          neighbor 127.0.0.2 update-source 127.0.0.1
          network 198.51.100.0/24",
    )
    .await?;

    let wanted = v1::ListRoutesRequest {
        family: v1::Family::Ipv4Unicast as i32,
        ..v1::ListRoutesRequest::default()
    };
    let learned = async {
        loop {
            let mut routes = right.routes(&wanted)?;
            while let Some(chunk) = routes.next().await? {
                if let Some(route) = chunk.routes.into_iter().next() {
                    return Ok::<_, holdfast::SpeakerError>(route);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let route = tokio::time::timeout(Duration::from_secs(30), learned).await??;
    for path in route.paths {
        let attributes = path.attributes.unwrap_or_default();
        println!(
            "{} by {}, AS path {}",
            route.prefix, path.peer, attributes.as_path_text
        );
    }
    left.stop(false).await;
    right.stop(false).await;
    Ok(())
}
