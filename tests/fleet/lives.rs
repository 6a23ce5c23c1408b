//! One token for all: at the start, at every renewal, after a restart, and when its holder dies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camunda_auth_proxy::oauth::{Answer, ClientAuth, TokenRequest};
use tokio::time::{Instant, sleep};

use super::*;

fn soon() -> Instant {
    Instant::now() + secs(10)
}

#[tokio::test(start_paused = true)]
async fn fifty_that_start_together_make_one_request_for_each_audience() {
    let world = World::new(|_, number| ok(number, 86_400));
    let model = Model::new(&world.clock);
    let engines: Vec<_> = (0..50).map(|_| world.engine(&model)).collect();
    let begun = Instant::now();
    let mut sources = Vec::new();
    for engine in &engines {
        for audience in ["a", "b", "c", "d"] {
            sources.push((audience, engine.source(request(audience))));
        }
    }
    let mut tokens = std::collections::HashMap::new();
    for (audience, source) in &sources {
        let token = source.wait(soon()).await.expect("a token");
        assert_eq!(tokens.entry(*audience).or_insert(token.reveal().to_owned()), token.reveal());
    }
    assert_eq!((world.asked(), tokens.len()), (4, 4));
    assert!(begun.elapsed() < secs(6), "{:?}", begun.elapsed());
    sleep(secs(60)).await;
    assert_eq!((world.asked(), world.broken()), (4, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_one_request_for_all() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 20, "a");
    sleep(secs(10)).await;
    for hour in 1..=5 {
        sleep(secs(3600)).await;
        assert!(engines.iter().all(|(_, source)| source.current().is_some()));
        assert!(world.asked() <= 2 + hour * 5 / 4, "{} requests in {hour} hours", world.asked());
    }
    assert_eq!(world.broken(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_same_token_once_more_costs_one_request_for_all() {
    // As Camunda does it: the same token until 30 s before its end.
    let begun = Instant::now();
    let world = World::new(move |_, _| {
        let at = begun.elapsed().as_secs();
        let (number, left) = (at / 86_370, 86_400 - at % 86_370);
        ok(number as usize, left)
    });
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 20, "a");
    sleep(secs(80_000)).await;
    assert_eq!(world.asked(), 2);
    sleep(secs(6_390)).await;
    assert!(engines.iter().all(|(_, source)| source.current().is_some()));
    sleep(secs(60)).await;
    assert!(engines.iter().all(|(_, source)| source.current().is_some_and(|t| t.reveal() == "token-1")));
    assert!(world.asked() <= 4, "{}", world.asked());
    assert_eq!(world.broken(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_restart_takes_the_stored_token_at_once_and_makes_no_request() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    for restart in 0..20 {
        let begun = Instant::now();
        let (_tokens, source) = engines(&world, &model, 1, "a").remove(0);
        source.wait(soon()).await.expect("a token");
        assert!(restart == 0 || begun.elapsed() < std::time::Duration::from_millis(10));
        sleep(secs(5)).await;
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_late_in_the_tokens_life_makes_one_request_and_not_one_each_time() {
    let world = World::new(|_, _| ok(1, 3600));
    let model = Model::new(&world.clock);
    drop(engines(&world, &model, 1, "a"));
    let first = engines(&world, &model, 1, "a");
    sleep(secs(2700)).await;
    drop(first);
    for _ in 0..20 {
        let one = engines(&world, &model, 1, "a").remove(0);
        one.1.wait(soon()).await.expect("a token");
        sleep(secs(5)).await;
    }
    assert!(world.asked() <= 2, "{}", world.asked());
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_while_asking_is_followed_by_another() {
    let world = World::new(|_, number| match number {
        1 => Reply { after: secs(3600), ..ok(1, 3600) },
        _ => ok(number, 3600),
    });
    let model = Model::new(&world.clock);
    model.state().lease_outlives = secs(5);
    let asking = engines(&world, &model, 1, "a");
    sleep(secs(1)).await;
    let waiting = engines(&world, &model, 5, "a");
    sleep(secs(10)).await;
    assert_eq!(world.asked(), 1);
    drop(asking);
    let begun = Instant::now();
    for (_, source) in &waiting {
        source.wait(soon()).await.expect("a token");
    }
    assert!(begun.elapsed() < secs(7), "{:?}", begun.elapsed());
    assert_eq!((world.asked(), world.broken()), (2, vec![]));
}

#[tokio::test(start_paused = true)]
async fn another_secret_or_audience_never_gets_the_token() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    let tokens = world.engine(&model);
    let mut seen = std::collections::HashSet::new();
    for other in [
        request("a"),
        request("b"),
        TokenRequest { client_auth: ClientAuth::Post("rotated".into()), ..request("a") },
        TokenRequest { client_id: "other".into(), ..request("a") },
        TokenRequest { oauth_scope: Some("s".into()), ..request("a") },
    ] {
        let source = tokens.source(other);
        assert!(seen.insert(source.wait(soon()).await.expect("a token").reveal().to_owned()));
    }
    // Nor when somebody gives it the right name.
    let entry = model.state().entries.values().next().cloned().expect("an entry");
    model.state().entries.values_mut().for_each(|other| other.clone_from(&entry));
    let again = world.engine(&model).source(request("zzz"));
    again.wait(soon()).await.expect("a token");
    drop(tokens);
    let after = world.engine(&model);
    let taken: Vec<_> = [request("a"), request("b")].into_iter().map(|other| after.source(other)).collect();
    let mut tokens = Vec::new();
    for source in &taken {
        tokens.push(source.wait(soon()).await.expect("a token").reveal().to_owned());
    }
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test(start_paused = true)]
async fn nothing_readable_is_stored() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    let one = engines(&world, &model, 1, "canary-audience").remove(0);
    one.1.wait(soon()).await.expect("a token");
    sleep(secs(1)).await;
    let state = model.state();
    assert_eq!(state.entries.len(), 1);
    for (name, entry) in &state.entries {
        let text = format!("{name} {}", String::from_utf8_lossy(entry));
        for secret in ["canary", "token", "login.example"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_from_the_future_is_ignored() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    drop({
        let one = engines(&world, &model, 1, "a").remove(0);
        one.1.wait(soon()).await.expect("a token");
        sleep(secs(1)).await;
        one
    });
    world.clock.step(-310);
    let one = engines(&world, &model, 1, "a").remove(0);
    assert_eq!(one.1.wait(soon()).await.expect("a token").reveal(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn what_a_person_demands_is_not_answered_with_the_stored_token() {
    let world = World::new(|_, number| ok(number, 3600));
    let model = Model::new(&world.clock);
    let engines = engines(&world, &model, 2, "a");
    sleep(secs(10)).await;
    engines[0].1.purge();
    assert_eq!(engines[0].1.wait(soon()).await.expect("a token").reveal(), "token-2");
    sleep(secs(60)).await;
    engines[0].1.renew();
    sleep(secs(5)).await;
    assert_eq!(engines[0].1.current().expect("a token").reveal(), "token-3");
    // Whoever starts now takes the last one.
    let next = world.engine(&model).source(request("a"));
    assert_eq!(next.wait(soon()).await.expect("a token").reveal(), "token-3");
    assert_eq!((world.asked(), world.broken()), (3, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_valid_yet_waits_in_the_store_too() {
    // nbf lies 20 s ahead of the clock that all have.
    let claims = URL_SAFE_NO_PAD.encode(r#"{"nbf":1800000020}"#);
    let world = World::new(move |_, _| {
        let body = format!(r#"{{"access_token":"e30.{claims}.x","expires_in":3600}}"#);
        Reply { after: secs(0), with: Ok(Answer::new(200, body)) }
    });
    let model = Model::new(&world.clock);
    let first = engines(&world, &model, 1, "a");
    sleep(secs(5)).await;
    let second = engines(&world, &model, 1, "a");
    sleep(secs(14)).await;
    let both = || first.iter().chain(&second);
    assert!(both().all(|(_, source)| source.current().is_none()));
    sleep(secs(2)).await;
    assert!(both().all(|(_, source)| source.current().is_some()));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_upstream_refuses_to_all_is_renewed_once_a_minute() {
    // Another token each time, and the same one each time.
    for same in [false, true] {
        let world = World::new(move |_, number| ok(if same { 1 } else { number }, 3600));
        let model = Model::new(&world.clock);
        let engines = engines(&world, &model, 10, "a");
        sleep(secs(100)).await;
        let refuse = || {
            for (_, source) in &engines {
                let _ = source.rejected(source.current().expect("a token").generation());
            }
        };
        refuse();
        sleep(secs(5)).await;
        let token = if same { "token-1" } else { "token-2" };
        assert!(engines.iter().all(|(_, source)| source.current().expect("a token").reveal() == token));
        refuse();
        sleep(secs(40)).await;
        refuse();
        sleep(secs(5)).await;
        assert_eq!((world.asked(), world.broken()), (2, vec![]));
    }
}
