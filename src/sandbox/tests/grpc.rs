//! Zeebe's gRPC side.

use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use prost::Message;

use super::talk::{ASK, Caller, ORDER, address, framed, sandbox, until, zeebe_token};
use crate::sandbox::cluster::Fault;
use crate::sandbox::grpc::health::{HealthCheckRequest, HealthCheckResponse};
use crate::sandbox::grpc::messages::*;

const TOPOLOGY: &str = "/gateway_protocol.Gateway/Topology";

fn poll(max: i32, timeout: i64, patience: i64) -> ActivateJobsRequest {
    ActivateJobsRequest {
        r#type: "pay".to_owned(),
        worker: "w".to_owned(),
        timeout,
        max_jobs_to_activate: max,
        request_timeout: patience,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_process_is_deployed_started_worked_on_and_completed() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ORDER).await;
    let request = CreateProcessInstanceRequest {
        bpmn_process_id: "order".to_owned(),
        version: -1,
        variables: r#"{"a":1}"#.to_owned(),
        ..Default::default()
    };
    let asked = CreateProcessInstanceWithResultRequest {
        request: Some(request),
        request_timeout: 5000,
        fetch_variables: vec!["b".to_owned()],
    };
    let work = async {
        let jobs: ActivateJobsResponse =
            caller.call(&sandbox, "ActivateJobs", &poll(5, 60_000, 5000)).await.message();
        assert_eq!(jobs.jobs[0].variables, r#"{"a":1}"#);
        let done = CompleteJobRequest { job_key: jobs.jobs[0].key, variables: r#"{"b":2}"#.to_owned() };
        assert_eq!(caller.call(&sandbox, "CompleteJob", &done).await.status, 0);
        assert_eq!(caller.call(&sandbox, "CompleteJob", &done).await.status, 5);
    };
    let (result, ()) = tokio::join!(caller.call(&sandbox, "CreateProcessInstanceWithResult", &asked), work);
    let result: CreateProcessInstanceWithResultResponse = result.message();
    assert_eq!(result.variables, r#"{"b":2}"#);
}

#[tokio::test]
async fn a_call_without_a_valid_token_is_refused_in_one_frame() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    let good = zeebe_token(&sandbox);
    let small = good.replace("Bearer", "bearer");
    let other = format!("Bearer {}", sandbox.authorization_server().issue("operate.camunda.io"));
    let nothing = "Expected bearer token at header with key [authorization], but found nothing";
    let failed = "Failed to parse bearer token, see cause for details";
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], nothing),
        (&[("authorization", "")], failed),
        (&[("authorization", "Basic ZGVtbzpkZW1v")], failed),
        (&[("authorization", &small)], failed),
        (&[("authorization", &other)], failed),
        (&[("authorization", &good), ("authorization", &good)], failed),
    ];
    for (fields, message) in cases {
        let refused = caller.raw(TOPOLOGY, fields, framed(&TopologyRequest {})).await.expect("an answer");
        assert_eq!((refused.status, refused.trailers_only), (16, true), "{fields:?}");
        assert_eq!(refused.head["grpc-message"], message);
    }
    let answered = caller.call(&sandbox, "Topology", &TopologyRequest {}).await;
    assert_eq!(answered.message::<TopologyResponse>().brokers.len(), 1);
    sandbox.authorization_server().revoke_all();
    let stale = caller
        .raw(TOPOLOGY, &[("authorization", &good)], framed(&TopologyRequest {}))
        .await
        .expect("an answer");
    assert_eq!(stale.status, 16);
    let counts = sandbox.cluster().counts();
    assert_eq!((counts.requests, counts.refused), (8, 7));
    assert_eq!(sandbox.cluster().requests()[5].headers.get_all("authorization").iter().count(), 2);
}

#[tokio::test]
async fn a_long_poll_is_answered_when_a_job_appears() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ORDER).await;
    let poll = poll(1, 60_000, 30_000);
    let start = async {
        until(|| sandbox.cluster().open_streams() == 1).await;
        caller.create(&sandbox, "order", "").await
    };
    let (polled, _) = tokio::join!(caller.call(&sandbox, "ActivateJobs", &poll), start);
    assert_eq!(polled.message::<ActivateJobsResponse>().jobs.len(), 1);
    until(|| sandbox.cluster().open_streams() == 0).await;
    assert_eq!(sandbox.cluster().cancelled_streams(), 0);
}

#[tokio::test]
async fn a_poll_without_jobs_ends_empty() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    let polled = caller.call(&sandbox, "ActivateJobs", &poll(1, 60_000, -1)).await;
    assert_eq!((polled.status, polled.body.len()), (0, 0));
}

#[tokio::test]
async fn a_job_is_available_again_when_its_time_is_up_or_it_failed() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ORDER).await;
    caller.create(&sandbox, "order", "").await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let polled: ActivateJobsResponse =
            caller.call(&sandbox, "ActivateJobs", &poll(1, 20, 5000)).await.message();
        keys.push(polled.jobs[0].key);
    }
    assert_eq!(keys[0], keys[1]);
    let failed = FailJobRequest { job_key: keys[0], retries: 1, retry_back_off: 10, ..Default::default() };
    assert_eq!(caller.call(&sandbox, "FailJob", &failed).await.status, 0);
    let polled: ActivateJobsResponse =
        caller.call(&sandbox, "ActivateJobs", &poll(1, 60_000, 5000)).await.message();
    assert_eq!((polled.jobs[0].key, polled.jobs[0].retries), (keys[0], 1));
    let failed = FailJobRequest { retries: 0, ..failed };
    assert_eq!(caller.call(&sandbox, "FailJob", &failed).await.status, 0);
    let done = CompleteJobRequest { job_key: keys[0], variables: String::new() };
    assert_eq!(caller.call(&sandbox, "CompleteJob", &done).await.status, 9);
}

#[tokio::test]
async fn a_job_stream_opens_at_once_pushes_jobs_and_is_seen_to_be_cancelled() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ORDER).await;
    let asked =
        StreamActivatedJobsRequest { r#type: "pay".to_owned(), timeout: 60_000, ..Default::default() };
    let token = zeebe_token(&sandbox);
    let path = "/gateway_protocol.Gateway/StreamActivatedJobs";
    let response = caller.start(path, &[("authorization", &token)], framed(&asked)).await;
    let mut stream = response.await.expect("a head before any job").into_body();
    for _ in 0..3 {
        let instance = caller.create(&sandbox, "order", "").await;
        let data = stream.data().await.expect("a job").expect("data");
        assert_eq!(ActivatedJob::decode(&data[5..]).expect("a job").process_instance_key, instance);
    }
    assert_eq!(sandbox.cluster().open_streams(), 1);
    drop(stream);
    until(|| sandbox.cluster().cancelled_streams() == 1).await;
    assert_eq!(sandbox.cluster().open_streams(), 0);
}

#[tokio::test]
async fn a_cancelled_long_poll_takes_no_job_away() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ORDER).await;
    let token = zeebe_token(&sandbox);
    let path = "/gateway_protocol.Gateway/ActivateJobs";
    let poll = poll(1, 60_000, 30_000);
    let waiting = caller.start(path, &[("authorization", &token)], framed(&poll)).await;
    until(|| sandbox.cluster().open_streams() == 1).await;
    drop(waiting);
    until(|| sandbox.cluster().cancelled_streams() == 1).await;
    caller.create(&sandbox, "order", "").await;
    let polled: ActivateJobsResponse = caller.call(&sandbox, "ActivateJobs", &poll).await.message();
    assert_eq!(polled.jobs.len(), 1);
}

#[tokio::test]
async fn messages_and_cancellations_are_kept() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    caller.deploy(&sandbox, ASK).await;
    let message = PublishMessageRequest {
        name: "paid".to_owned(),
        message_id: "1".to_owned(),
        time_to_live: 60_000,
        ..Default::default()
    };
    assert_eq!(caller.call(&sandbox, "PublishMessage", &message).await.status, 0);
    assert_eq!(caller.call(&sandbox, "PublishMessage", &message).await.status, 6);
    let instance = caller.create(&sandbox, "ask", "").await;
    let cancel = CancelProcessInstanceRequest { process_instance_key: instance };
    assert_eq!(caller.call(&sandbox, "CancelProcessInstance", &cancel).await.status, 0);
    assert_eq!(caller.call(&sandbox, "CancelProcessInstance", &cancel).await.status, 5);
    assert_eq!(caller.call(&sandbox, "EvaluateDecision", &TopologyRequest {}).await.status, 12);
}

#[tokio::test]
async fn health_answers_without_a_token_and_a_compressed_message_is_read() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    let asked = HealthCheckRequest { service: "gateway_protocol.Gateway".to_owned() };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&asked.encode_to_vec()).expect("memory");
    let compressed = encoder.finish().expect("memory");
    let mut body = BytesMut::new();
    body.put_u8(1);
    body.put_u32(compressed.len() as u32);
    body.put_slice(&compressed);
    let path = "/grpc.health.v1.Health/Check";
    let answered = caller.raw(path, &[("grpc-encoding", "gzip")], body.freeze()).await.expect("an answer");
    assert_eq!(answered.message::<HealthCheckResponse>().status, 1);
}

#[tokio::test]
async fn a_stream_is_reset_with_the_code_that_was_asked_for() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    let fields = [("authorization", &*zeebe_token(&sandbox))];
    let body = framed(&TopologyRequest {});
    for fault in [Fault::Reset(7), Fault::ResetMidway(11)] {
        sandbox.cluster().fail_next(1, fault.clone());
        let failed = caller.raw(TOPOLOGY, &fields, body.clone()).await.err().expect("a reset");
        let code =
            if fault == Fault::Reset(7) { h2::Reason::REFUSED_STREAM } else { h2::Reason::ENHANCE_YOUR_CALM };
        assert_eq!(failed.reason(), Some(code));
    }
    assert_eq!(caller.raw(TOPOLOGY, &fields, body).await.expect("an answer").status, 0);
}

#[tokio::test]
async fn connections_go_away_or_are_closed() {
    let sandbox = sandbox().await;
    let fields = [("authorization", &*zeebe_token(&sandbox))];
    let body = framed(&TopologyRequest {});
    for fault in [Fault::Close, Fault::CloseMidway] {
        let caller = Caller::to(&sandbox).await;
        sandbox.cluster().fail_next(1, fault);
        assert!(caller.raw(TOPOLOGY, &fields, body.clone()).await.is_err());
    }
    let caller = Caller::to(&sandbox).await;
    sandbox.cluster().fail_next(1, Fault::GoAway);
    assert_eq!(caller.raw(TOPOLOGY, &fields, body.clone()).await.expect("an answer").status, 0);
    until(|| sandbox.cluster().open_connections() == 0).await;
    let caller = Caller::to(&sandbox).await;
    sandbox.cluster().fail_next(1, Fault::Html(502));
    let page = caller.raw(TOPOLOGY, &fields, body).await.expect("a page");
    assert_eq!((page.status, &page.head["content-type"]), (-1, &http::HeaderValue::from_static("text/html")));
}

#[tokio::test]
async fn unary_answers_can_be_held_back() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    sandbox.cluster().hold_unary(Duration::from_millis(30));
    let start = tokio::time::Instant::now();
    caller.call(&sandbox, "Topology", &TopologyRequest {}).await;
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn dropping_the_sandbox_ends_its_connections() {
    let sandbox = sandbox().await;
    let caller = Caller::to(&sandbox).await;
    let fields = [("authorization", &*zeebe_token(&sandbox))];
    let asked =
        StreamActivatedJobsRequest { r#type: "pay".to_owned(), timeout: 60_000, ..Default::default() };
    let path = "/gateway_protocol.Gateway/StreamActivatedJobs";
    let mut stream = caller.start(path, &fields, framed(&asked)).await.await.expect("a head").into_body();
    let grpc = sandbox.addresses().grpc.clone();
    drop(sandbox);
    assert!(!matches!(stream.data().await, Some(Ok(_))));
    assert!(tokio::net::TcpStream::connect(address(&grpc)).await.is_err());
}
