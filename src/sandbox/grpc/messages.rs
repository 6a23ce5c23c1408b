//! The messages of `gateway_protocol`, by the field numbers of the public gateway.proto. Requests hold
//! what the sandbox reads; unknown fields are skipped, as protobuf has it.

use prost::{Enumeration, Oneof};

use super::descriptor::described;

described! {
    TopologyRequest {}
    TopologyResponse {
        #[prost(message, repeated, tag = "1")] brokers: Vec<BrokerInfo>,
        #[prost(int32, tag = "2")] cluster_size: i32,
        #[prost(int32, tag = "3")] partitions_count: i32,
        #[prost(int32, tag = "4")] replication_factor: i32,
        #[prost(string, tag = "5")] gateway_version: String,
    }
    BrokerInfo {
        #[prost(int32, tag = "1")] node_id: i32,
        #[prost(string, tag = "2")] host: String,
        #[prost(int32, tag = "3")] port: i32,
        #[prost(message, repeated, tag = "4")] partitions: Vec<Partition>,
        #[prost(string, tag = "5")] version: String,
    }
    Partition {
        #[prost(int32, tag = "1")] partition_id: i32,
        #[prost(enumeration = "PartitionBrokerRole", tag = "2")] role: i32,
        #[prost(enumeration = "PartitionBrokerHealth", tag = "3")] health: i32,
    }
    DeployResourceRequest {
        #[prost(message, repeated, tag = "1")] resources: Vec<Resource>,
        #[prost(string, tag = "2")] tenant_id: String,
    }
    Resource {
        #[prost(string, tag = "1")] name: String,
        #[prost(bytes = "vec", tag = "2")] content: Vec<u8>,
    }
    DeployResourceResponse {
        #[prost(int64, tag = "1")] key: i64,
        #[prost(message, repeated, tag = "2")] deployments: Vec<Deployment>,
        #[prost(string, tag = "3")] tenant_id: String,
    }
    Deployment {
        #[prost(oneof = "Metadata", tags = "1")] metadata: Option<Metadata>,
    }
    ProcessMetadata {
        #[prost(string, tag = "1")] bpmn_process_id: String,
        #[prost(int32, tag = "2")] version: i32,
        #[prost(int64, tag = "3")] process_definition_key: i64,
        #[prost(string, tag = "4")] resource_name: String,
        #[prost(string, tag = "5")] tenant_id: String,
    }
    DeployProcessRequest {
        #[prost(message, repeated, tag = "1")] processes: Vec<ProcessRequestObject>,
    }
    ProcessRequestObject {
        #[prost(string, tag = "1")] name: String,
        #[prost(bytes = "vec", tag = "2")] definition: Vec<u8>,
    }
    DeployProcessResponse {
        #[prost(int64, tag = "1")] key: i64,
        #[prost(message, repeated, tag = "2")] processes: Vec<ProcessMetadata>,
    }
    CreateProcessInstanceRequest {
        #[prost(int64, tag = "1")] process_definition_key: i64,
        #[prost(string, tag = "2")] bpmn_process_id: String,
        #[prost(int32, tag = "3")] version: i32,
        #[prost(string, tag = "4")] variables: String,
        #[prost(string, tag = "6")] tenant_id: String,
    }
    CreateProcessInstanceResponse {
        #[prost(int64, tag = "1")] process_definition_key: i64,
        #[prost(string, tag = "2")] bpmn_process_id: String,
        #[prost(int32, tag = "3")] version: i32,
        #[prost(int64, tag = "4")] process_instance_key: i64,
        #[prost(string, tag = "5")] tenant_id: String,
    }
    CreateProcessInstanceWithResultRequest {
        #[prost(message, optional, tag = "1")] request: Option<CreateProcessInstanceRequest>,
        #[prost(int64, tag = "2")] request_timeout: i64,
        #[prost(string, repeated, tag = "3")] fetch_variables: Vec<String>,
    }
    CreateProcessInstanceWithResultResponse {
        #[prost(int64, tag = "1")] process_definition_key: i64,
        #[prost(string, tag = "2")] bpmn_process_id: String,
        #[prost(int32, tag = "3")] version: i32,
        #[prost(int64, tag = "4")] process_instance_key: i64,
        #[prost(string, tag = "5")] variables: String,
        #[prost(string, tag = "6")] tenant_id: String,
    }
    ActivateJobsRequest {
        #[prost(string, tag = "1")] r#type: String,
        #[prost(string, tag = "2")] worker: String,
        #[prost(int64, tag = "3")] timeout: i64,
        #[prost(int32, tag = "4")] max_jobs_to_activate: i32,
        #[prost(string, repeated, tag = "5")] fetch_variable: Vec<String>,
        #[prost(int64, tag = "6")] request_timeout: i64,
        #[prost(string, repeated, tag = "7")] tenant_ids: Vec<String>,
    }
    ActivateJobsResponse {
        #[prost(message, repeated, tag = "1")] jobs: Vec<ActivatedJob>,
    }
    StreamActivatedJobsRequest {
        #[prost(string, tag = "1")] r#type: String,
        #[prost(string, tag = "2")] worker: String,
        #[prost(int64, tag = "3")] timeout: i64,
        #[prost(string, repeated, tag = "5")] fetch_variable: Vec<String>,
        #[prost(string, repeated, tag = "6")] tenant_ids: Vec<String>,
    }
    ActivatedJob {
        #[prost(int64, tag = "1")] key: i64,
        #[prost(string, tag = "2")] r#type: String,
        #[prost(int64, tag = "3")] process_instance_key: i64,
        #[prost(string, tag = "4")] bpmn_process_id: String,
        #[prost(int32, tag = "5")] process_definition_version: i32,
        #[prost(int64, tag = "6")] process_definition_key: i64,
        #[prost(string, tag = "7")] element_id: String,
        #[prost(int64, tag = "8")] element_instance_key: i64,
        #[prost(string, tag = "9")] custom_headers: String,
        #[prost(string, tag = "10")] worker: String,
        #[prost(int32, tag = "11")] retries: i32,
        #[prost(int64, tag = "12")] deadline: i64,
        #[prost(string, tag = "13")] variables: String,
        #[prost(string, tag = "14")] tenant_id: String,
    }
    CompleteJobRequest {
        #[prost(int64, tag = "1")] job_key: i64,
        #[prost(string, tag = "2")] variables: String,
    }
    CompleteJobResponse {}
    FailJobRequest {
        #[prost(int64, tag = "1")] job_key: i64,
        #[prost(int32, tag = "2")] retries: i32,
        #[prost(string, tag = "3")] error_message: String,
        #[prost(int64, tag = "4")] retry_back_off: i64,
        #[prost(string, tag = "5")] variables: String,
    }
    FailJobResponse {}
    ThrowErrorRequest {
        #[prost(int64, tag = "1")] job_key: i64,
        #[prost(string, tag = "2")] error_code: String,
        #[prost(string, tag = "3")] error_message: String,
        #[prost(string, tag = "4")] variables: String,
    }
    ThrowErrorResponse {}
    UpdateJobRetriesRequest {
        #[prost(int64, tag = "1")] job_key: i64,
        #[prost(int32, tag = "2")] retries: i32,
    }
    UpdateJobRetriesResponse {}
    ResolveIncidentRequest {
        #[prost(int64, tag = "1")] incident_key: i64,
    }
    ResolveIncidentResponse {}
    PublishMessageRequest {
        #[prost(string, tag = "1")] name: String,
        #[prost(string, tag = "2")] correlation_key: String,
        #[prost(int64, tag = "3")] time_to_live: i64,
        #[prost(string, tag = "4")] message_id: String,
        #[prost(string, tag = "5")] variables: String,
        #[prost(string, tag = "6")] tenant_id: String,
    }
    PublishMessageResponse {
        #[prost(int64, tag = "1")] key: i64,
        #[prost(string, tag = "2")] tenant_id: String,
    }
    CancelProcessInstanceRequest {
        #[prost(int64, tag = "1")] process_instance_key: i64,
    }
    CancelProcessInstanceResponse {}
    SetVariablesRequest {
        #[prost(int64, tag = "1")] element_instance_key: i64,
        #[prost(string, tag = "2")] variables: String,
        #[prost(bool, tag = "3")] local: bool,
    }
    SetVariablesResponse {
        #[prost(int64, tag = "1")] key: i64,
    }
}

/// What was deployed.
#[derive(Clone, PartialEq, Oneof)]
pub(in crate::sandbox) enum Metadata {
    /// A process.
    #[prost(message, tag = "1")]
    Process(ProcessMetadata),
}

/// What a broker is for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(in crate::sandbox) enum PartitionBrokerRole {
    Leader = 0,
    Follower = 1,
    Inactive = 2,
}

/// How a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(in crate::sandbox) enum PartitionBrokerHealth {
    Healthy = 0,
    Unhealthy = 1,
    Dead = 2,
}

/// The enumerations with their values, for the descriptor.
pub(super) const ENUMERATIONS: &[(&str, &[&str])] = &[
    ("PartitionBrokerRole", &["LEADER", "FOLLOWER", "INACTIVE"]),
    ("PartitionBrokerHealth", &["HEALTHY", "UNHEALTHY", "DEAD"]),
];
