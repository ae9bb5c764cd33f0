//! The configuration: line by line, as a whole, and on disk.

use std::os::unix::fs::PermissionsExt;

use bgpd::SpeakerOptions;
use holdfast_api::v1;

use crate::peer::{Hello, Peer, passive};
use crate::rig::{Net, Router, options};

async fn router() -> Router {
    Router::start(Net::new(), 1, 65001).await
}

async fn text(router: &Router) -> String {
    let request = v1::GetConfigRequest::default();
    router.speaker.config_text(request).await.unwrap().text
}

#[tokio::test]
async fn lines_before_a_wrong_one_take_effect_and_the_rest_does_not() {
    let router = router().await;
    router.run("").await;
    let answer = router
        .lines(
            &["router bgp 65001"],
            &[
                "neighbor 192.0.2.7 remote-as 65007",
                "neighbour 192.0.2.8 remote-as 1",
                "bgp cluster-id 1.2.3.4",
            ],
        )
        .await;
    let ok: Vec<bool> = answer.results.iter().map(|r| r.ok).collect();
    assert_eq!(ok, [true, false]);
    assert!(
        answer.results[1].error.starts_with("Unknown command"),
        "{answer:?}"
    );
    assert_eq!(answer.context, ["router bgp 65001"]);
    let text = text(&router).await;
    assert!(text.contains("neighbor 192.0.2.7 remote-as 65007"));
    assert!(!text.contains("cluster-id"));
    assert_eq!(router.speaker.peers(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_context_leads_through_the_modes() {
    let router = router().await;
    router.run("").await;
    let answer = router
        .lines(&[], &["router bgp 65001", "address-family ipv6 unicast"])
        .await;
    assert!(answer.results.iter().all(|r| r.ok), "{answer:?}");
    let context: Vec<&str> = answer.context.iter().map(String::as_str).collect();
    assert_eq!(context, ["router bgp 65001", "address-family ipv6 unicast"]);
    let answer = router
        .lines(&context, &["network 2001:db8::/32", "exit-address-family"])
        .await;
    assert!(answer.results.iter().all(|r| r.ok), "{answer:?}");
    assert_eq!(answer.context, ["router bgp 65001"]);
    assert!(text(&router).await.contains("network 2001:db8::/32"));
    let answer = router.lines(&["router bgp 65001"], &["exit"]).await;
    assert!(answer.context.is_empty(), "{answer:?}");
    // Another AS while one runs.
    let answer = router.lines(&[], &["router bgp 65999"]).await;
    assert_eq!(
        answer.results[0].error,
        "BGP is already running; AS is 65001"
    );
    let answer = router
        .lines(&["router bgp 65999"], &["bgp router-id 1.1.1.1"])
        .await;
    assert!(!answer.results[0].ok);
}

#[tokio::test]
async fn a_whole_configuration_is_taken_or_left() {
    let router = router().await;
    router.run(&passive(&router, 2, 65002)).await;
    let _peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    let before = text(&router).await;
    let replace = |text: String, dry_run: bool| v1::ReplaceConfigRequest {
        text,
        dry_run,
        ..v1::ReplaceConfigRequest::default()
    };
    let new = format!(
        "hostname other\n{}",
        router.text(&passive(&router, 3, 65003))
    );
    let tried = router
        .speaker
        .replace(&replace(new.clone(), true))
        .await
        .unwrap();
    assert_eq!(text(&router).await, before);
    router.established(2).await;
    let broken = format!("{new} neighbor 192.0.2.1 remote-as none\nnonsense\n");
    let error = router
        .speaker
        .replace(&replace(broken, false))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error.lines().count(), 2, "all errors at once: {error}");
    assert_eq!(text(&router).await, before);
    assert_eq!(router.peer(2).await.connections_dropped, 0);
    let done = router
        .speaker
        .replace(&replace(new.clone(), false))
        .await
        .unwrap();
    assert_eq!(done.changes, tried.changes, "what was said would happen");
    let (two, three) = (router.net.host(2), router.net.host(3));
    assert!(
        done.changes
            .contains(&format!("neighbor {two}: is removed")),
        "{done:?}"
    );
    assert!(
        done.changes
            .contains(&format!("neighbor {three}: is added")),
        "{done:?}"
    );
    assert!(done.revision > tried.revision);
    let again = router.speaker.replace(&replace(new, false)).await.unwrap();
    assert!(again.changes.is_empty());
    assert_eq!(again.revision, done.revision);
}

#[tokio::test]
async fn the_file_is_written_whole_with_its_rights_and_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (
        directory.path().join("real.conf"),
        directory.path().join("frr.conf"),
    );
    std::fs::write(&file, "! old\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let net = Net::new();
    let options = SpeakerOptions {
        config_path: Some(link.display().to_string()),
        ..options(net, 1)
    };
    let router = Router::with(net, 1, 65001, options).await;
    router.run(" neighbor 192.0.2.7 remote-as 65007\n").await;
    // Many at once: one after the other.
    let writes: Vec<_> = (0..20)
        .map(|_| {
            let speaker = router.speaker.clone();
            tokio::spawn(async move { speaker.write_config().await })
        })
        .collect();
    for write in writes {
        assert_eq!(write.await.unwrap().unwrap(), link.display().to_string());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text(&router).await);
    assert!(link.is_symlink());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o604);
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 2, "nothing is left beside it");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::new();
    let path = directory.path().join("gone/frr.conf");
    let options = SpeakerOptions {
        config_path: Some(path.display().to_string()),
        ..options(net, 1)
    };
    let router = Router::with(net, 1, 65001, options).await;
    let error = router.speaker.write_config().await.unwrap_err().to_string();
    assert!(error.contains("gone/frr.conf"), "{error}");
    std::fs::create_dir(directory.path().join("gone")).unwrap();
    router.speaker.write_config().await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "passwords are in it");
    let none = Router::start(Net::new(), 1, 65001).await;
    let error = none.speaker.write_config().await.unwrap_err();
    assert!(matches!(error, bgpd::SpeakerError::NoFile));
}

/// `write memory` of a neighbor without an AS made a file that the next start
/// refused.
#[tokio::test]
async fn what_would_not_load_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frr.conf");
    std::fs::write(&path, "! old\n").unwrap();
    let net = Net::new();
    let options = SpeakerOptions {
        config_path: Some(path.display().to_string()),
        ..options(net, 1)
    };
    let router = Router::with(net, 1, 65001, options).await;
    router.run("").await;
    router.line("neighbor G peer-group").await;
    router.line("neighbor 192.0.2.7 peer-group G").await;
    let error = router.speaker.write_config().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "not written, since it would not load: \
         neighbor 192.0.2.7 has no remote-as, nor has its peer group G"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "! old\n");
    router.line("neighbor G remote-as external").await;
    router.speaker.write_config().await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text(&router).await);
}
