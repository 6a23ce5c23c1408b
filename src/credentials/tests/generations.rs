//! The generations of the file, and what is derived from each.

use super::*;

#[test]
fn generation_a_is_read_and_its_zeebe_rest_address_derived() {
    let credentials = parsed(&exports());
    assert_eq!(client(&credentials).id, "id.~_-1");
    assert_eq!(client(&credentials).secret.expose(), SECRET);
    assert_eq!(client(&credentials).token_endpoint, "https://login.cloud.camunda.io/oauth/token");
    assert_eq!(credentials.audience.as_deref(), Some("zeebe.camunda.io"));
    let grpc = credentials.grpc_address.expect("gRPC address");
    assert_eq!(grpc.to_string(), format!("https://{CLUSTER}.syd-1.zeebe.camunda.io"));
    let shown = |scope| credentials.rest_addresses[&scope].to_string();
    assert_eq!(shown(Scope::Zeebe), format!("https://syd-1.zeebe.camunda.io/{CLUSTER}"));
    assert_eq!(shown(Scope::Operate), format!("https://syd-1.operate.camunda.io/{CLUSTER}"));
    assert_eq!(credentials.scopes.len(), 4);
    assert_eq!(credentials.notes, ["zeebe REST address derived from region and cluster id"]);
    assert!(credentials.warnings.is_empty());
}

#[test]
fn generation_b_says_everything_three_times_without_a_warning() {
    let text = exports()
        + &format!(
            "export ZEEBE_REST_ADDRESS='https://syd-1.zeebe.camunda.io/{CLUSTER}'\n\
             export ZEEBE_GRPC_ADDRESS='grpcs://{CLUSTER}.syd-1.zeebe.camunda.io:443'\n\
             export CAMUNDA_CLIENT_ID='id.~_-1'\nexport CAMUNDA_CLIENT_SECRET='{SECRET}'\n\
             export CAMUNDA_CLIENT_MODE='saas'\nexport CAMUNDA_CLIENT_AUTH_CLIENTID='id.~_-1'\n\
             export CAMUNDA_CLIENT_AUTH_CLIENTSECRET='{SECRET}'\n\
             export CAMUNDA_CLIENT_CLOUD_CLUSTERID='{CLUSTER}'\nexport CAMUNDA_CLIENT_CLOUD_REGION='syd-1'"
        );
    let (old, new) = (parsed(&exports()), parsed(&text));
    assert!(new.warnings.is_empty() && new.notes.is_empty(), "{:?} {:?}", new.warnings, new.notes);
    assert_eq!(new.rest_addresses, old.rest_addresses);
    assert_eq!(new.grpc_address, old.grpc_address);
    assert_eq!(client(&new).secret, client(&old).secret);
}

#[test]
fn generation_c_names_the_new_hosts_and_perhaps_new_scopes() {
    let text = exports().replace("Zeebe,Tasklist,Operate,Optimize", "Orchestration Cluster API, zeebe ")
        + &format!("export CAMUNDA_REST_ADDRESS='https://syd-1.api.camunda.io/{CLUSTER}'");
    let credentials = parsed(&text);
    assert_eq!(credentials.rest_addresses[&Scope::Zeebe].host, "syd-1.api.camunda.io");
    assert_eq!(credentials.unknown_scopes, ["Orchestration Cluster API"]);
    assert_eq!(credentials.warnings.len(), 1, "{:?}", credentials.warnings);
    assert!(credentials.scopes.contains(&Scope::Optimize), "an address grants its scope");
}

#[test]
fn spring_s_files_have_no_addresses_and_all_are_derived() {
    let spellings = [
        format!(
            "camunda:\n  client:\n    mode: saas\n    auth:\n      client-id: id\n      client-secret: {SECRET}\n\
             \x20   cloud:\n      cluster-id: {CLUSTER}\n      region: bru-2\n"
        ),
        format!(
            "camunda.client.mode=saas\ncamunda.client.auth.client-id=id\n\
             camunda.client.auth.client-secret={SECRET}\ncamunda.client.cluster-id={CLUSTER}\n\
             camunda.client.region=bru-2"
        ),
        format!(
            "zeebe.client.cloud.clusterId={CLUSTER}\nzeebe.client.cloud.clientId=id\n\
             zeebe.client.cloud.client-secret={SECRET}\nzeebe.client.cloud.region=bru-2\n"
        ),
        format!(
            "export CAMUNDA_CLIENT_MODE='saas'\nexport CAMUNDA_CLIENT_AUTH_CLIENT_ID='id'\n\
             export CAMUNDA_CLIENT_AUTH_CLIENTSECRET='{SECRET}'\n\
             export CAMUNDA_CLIENT_CLOUD_CLUSTERID='{CLUSTER}'\nexport CAMUNDA_CLIENT_CLOUD_REGION='bru-2'\n"
        ),
        serde_json::json!({ "camunda": { "client": { "mode": "saas",
            "auth": { "clientId": "id", "clientSecret": SECRET },
            "cloud": { "clusterId": CLUSTER, "region": "bru-2" } } } })
        .to_string(),
    ];
    for text in spellings {
        let credentials = parsed(&text);
        assert_eq!(client(&credentials).secret.expose(), SECRET, "{text}");
        let grpc = credentials.grpc_address.as_ref().expect("gRPC").to_string();
        assert_eq!(grpc, format!("https://{CLUSTER}.bru-2.zeebe.camunda.io"), "{text}");
        let rest = credentials.rest_addresses[&Scope::Zeebe].to_string();
        assert_eq!(rest, format!("https://bru-2.zeebe.camunda.io/{CLUSTER}"), "{text}");
        assert_eq!(
            client(&credentials).token_endpoint,
            "https://login.cloud.camunda.io/oauth/token",
            "{text}"
        );
        assert_eq!(credentials.notes.len(), 3, "{text}");
    }
}

#[test]
fn newer_names_count_before_older_ones() {
    let text = exports()
        .replace("export CAMUNDA_OAUTH_URL='https://login", "export CAMUNDA_OAUTH_URL='https://other")
        + "export ZEEBE_GRPC_ADDRESS='grpc://localhost:26500'\nexport ZEEBE_REST_ADDRESS=http://localhost:8080/\n";
    let credentials = parsed(&text);
    assert_eq!(client(&credentials).token_endpoint, "https://other.cloud.camunda.io/oauth/token");
    assert_eq!(credentials.grpc_address.expect("gRPC").to_string(), "http://localhost:26500");
    assert_eq!(credentials.rest_addresses[&Scope::Zeebe].to_string(), "http://localhost:8080");
    assert_eq!(credentials.warnings.len(), 2, "{:?}", credentials.warnings);
}

#[test]
fn id_and_secret_are_taken_from_one_family_of_names() {
    let credentials = parsed(&(exports() + "export CAMUNDA_CLIENT_ID='other'\n"));
    assert_eq!(client(&credentials).id, "id.~_-1");
}

#[test]
fn scopes_are_compared_without_case_and_unknown_ones_kept() {
    let text = exports().replace("Zeebe,Tasklist,Operate,Optimize", "zeebe , OPERATE,Banana,Secrets");
    let credentials = parsed(&text);
    assert_eq!(credentials.unknown_scopes, ["Banana"]);
    assert_eq!(credentials.scopes.len(), 5, "{:?}", credentials.scopes);
    assert_eq!(
        credentials.rest_addresses[&Scope::Secrets].to_string(),
        "https://cluster-api.cloud.camunda.io"
    );
}

#[test]
fn a_granted_scope_without_an_address_gets_one() {
    let text: String =
        exports().lines().filter(|l| !l.contains("BASE_URL")).map(|l| format!("{l}\n")).collect();
    let credentials = parsed(&text);
    let optimize = credentials.rest_addresses[&Scope::Optimize].to_string();
    assert_eq!(optimize, format!("https://syd-1.optimize.camunda.io/{CLUSTER}"));
    assert_eq!(credentials.notes.len(), 4);
}
