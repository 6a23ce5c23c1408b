//! The same over a folder, which is what processes of one host share.

use camunda_auth_proxy::oauth::FileStore;
use tokio::time::{Instant, sleep};

use super::*;

fn soon() -> Instant {
    Instant::now() + secs(10)
}

#[tokio::test(start_paused = true)]
async fn engines_that_share_a_folder_make_one_request_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new(|_, number| ok(number, 3600));
    let path = folder.path().join("state");
    let engines: Vec<_> = (0..8)
        .flat_map(|_| engines(&world, &FileStore::new(path.clone(), world.clock.clone()), 1, "a"))
        .collect();
    for (_, source) in &engines {
        source.wait(soon()).await.expect("a token");
    }
    assert_eq!(world.asked(), 1);
    sleep(secs(3600)).await;
    assert!(engines.iter().all(|(_, source)| source.current().is_some()));
    assert!(world.asked() <= 3, "{}", world.asked());
    assert_eq!(world.broken(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_while_asking_gives_its_lease_back_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new(|_, number| match number {
        1 => Reply { after: secs(3600), ..ok(1, 3600) },
        _ => ok(number, 3600),
    });
    let store = || FileStore::new(folder.path().to_owned(), world.clock.clone());
    let asking = engines(&world, &store(), 1, "a");
    sleep(secs(1)).await;
    let waiting = engines(&world, &store(), 1, "a").remove(0);
    sleep(secs(5)).await;
    drop(asking);
    let begun = Instant::now();
    waiting.1.wait(soon()).await.expect("a token");
    assert!(begun.elapsed() < secs(2), "{:?}", begun.elapsed());
    assert_eq!(world.broken(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_stops_the_others_in_the_folder_and_outlives_its_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new(|_, number| match number {
        1 => status(429, ""),
        _ => ok(number, 3600),
    });
    let store = || FileStore::new(folder.path().to_owned(), world.clock.clone());
    let first = engines(&world, &store(), 1, "a");
    sleep(secs(1)).await;
    drop(first);
    let other = engines(&world, &store(), 1, "b").remove(0);
    sleep(secs(3)).await;
    assert_eq!(world.asked(), 1);
    sleep(secs(10)).await;
    assert!(other.1.current().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_is_told_and_done_without_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    std::fs::write(&path, "in the way").expect("written");
    let world = World::new(|_, number| ok(number, 3600));
    let one = engines(&world, &FileStore::new(path.clone(), world.clock.clone()), 1, "a").remove(0);
    one.1.wait(soon()).await.expect("a token");
    let status = one.0.store().expect("a store");
    assert_eq!((status.kind, status.state), ("file", "down"));
    assert!(status.error.expect("an error").contains(&path.display().to_string()));
    std::fs::remove_file(&path).expect("removed");
    sleep(secs(10)).await;
    assert_eq!(one.0.store().expect("a store").state, "up");
    drop(one);
    let next = engines(&world, &FileStore::new(path, world.clock.clone()), 1, "a").remove(0);
    next.1.wait(soon()).await.expect("a token");
    assert_eq!(world.asked(), 1);
}
