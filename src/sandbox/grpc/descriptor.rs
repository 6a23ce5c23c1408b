//! What reflection says about the messages, made from the structs' own attributes: one source for both.

use std::sync::LazyLock;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};

use super::{health, messages};

/// Derives messages, and keeps the text of their attributes in `SCHEMA`.
macro_rules! described {
    ($($name:ident { $($(#[$kind:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            #[doc = concat!("The message `", stringify!($name), "`.")]
            #[derive(Clone, PartialEq, prost::Message)]
            pub(in crate::sandbox) struct $name {
                $($(#[$kind])* pub(in crate::sandbox) $field: $type,)*
            }
        )*

        /// The messages: name, then name, attribute and Rust type of each field.
        pub(super) const SCHEMA: &[(&str, &[(&str, &str, &str)])] = &[
            $((stringify!($name), &[$((stringify!($field), concat!($(stringify!($kind)),*), stringify!($type)),)*]),)*
        ];
    };
}
pub(super) use described;

type Schema = &'static [(&'static str, &'static [(&'static str, &'static str, &'static str)])];

/// A described file.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
    pub(super) service: &'static str,
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// Whether a fully qualified name is the service's, or of something in it or beside it.
    pub(super) fn defines(&self, symbol: &str) -> bool {
        symbol.strip_prefix(self.package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The files that reflection knows.
pub(super) static FILES: LazyLock<[File; 2]> = LazyLock::new(|| {
    [
        file(
            "gateway.proto",
            "gateway_protocol",
            messages::SCHEMA,
            messages::ENUMERATIONS,
            "Gateway",
            GATEWAY,
        ),
        file(
            "grpc/health/v1/health.proto",
            "grpc.health.v1",
            health::SCHEMA,
            health::ENUMERATIONS,
            "Health",
            HEALTH,
        ),
    ]
});

/// Methods: name, request, answer, whether answers are streamed.
type Methods = &'static [(&'static str, &'static str, &'static str, bool)];

const GATEWAY: Methods = &[
    ("ActivateJobs", "ActivateJobsRequest", "ActivateJobsResponse", true),
    ("StreamActivatedJobs", "StreamActivatedJobsRequest", "ActivatedJob", true),
    ("Topology", "TopologyRequest", "TopologyResponse", false),
    ("DeployResource", "DeployResourceRequest", "DeployResourceResponse", false),
    ("DeployProcess", "DeployProcessRequest", "DeployProcessResponse", false),
    ("CreateProcessInstance", "CreateProcessInstanceRequest", "CreateProcessInstanceResponse", false),
    (
        "CreateProcessInstanceWithResult",
        "CreateProcessInstanceWithResultRequest",
        "CreateProcessInstanceWithResultResponse",
        false,
    ),
    ("CompleteJob", "CompleteJobRequest", "CompleteJobResponse", false),
    ("FailJob", "FailJobRequest", "FailJobResponse", false),
    ("ThrowError", "ThrowErrorRequest", "ThrowErrorResponse", false),
    ("UpdateJobRetries", "UpdateJobRetriesRequest", "UpdateJobRetriesResponse", false),
    ("ResolveIncident", "ResolveIncidentRequest", "ResolveIncidentResponse", false),
    ("PublishMessage", "PublishMessageRequest", "PublishMessageResponse", false),
    ("CancelProcessInstance", "CancelProcessInstanceRequest", "CancelProcessInstanceResponse", false),
    ("SetVariables", "SetVariablesRequest", "SetVariablesResponse", false),
];

const HEALTH: Methods = &[
    ("Check", "HealthCheckRequest", "HealthCheckResponse", false),
    ("Watch", "HealthCheckRequest", "HealthCheckResponse", true),
];

fn file(
    name: &'static str,
    package: &'static str,
    schema: Schema,
    enumerations: &[(&str, &[&str])],
    service: &'static str,
    methods: Methods,
) -> File {
    let method = |&(name, input, output, streams): &(&str, &str, &str, bool)| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(format!(".{package}.{input}")),
        output_type: Some(format!(".{package}.{output}")),
        server_streaming: Some(streams),
        ..Default::default()
    };
    let described = FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        message_type: schema.iter().map(|(name, fields)| message(package, name, fields)).collect(),
        enum_type: enumerations.iter().map(|(name, values)| enumeration(name, values)).collect(),
        service: vec![ServiceDescriptorProto {
            name: Some(service.to_owned()),
            method: methods.iter().map(method).collect(),
            options: None,
        }],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    };
    File { name, package, service, bytes: described.encode_to_vec() }
}

fn message(package: &str, name: &str, fields: &[(&str, &str, &str)]) -> DescriptorProto {
    let choices = fields.iter().filter(|(_, kind, _)| kind.contains("oneof"));
    DescriptorProto {
        name: Some(name.to_owned()),
        field: fields.iter().map(|part| field(package, part)).collect(),
        oneof_decl: choices
            .map(|(name, ..)| OneofDescriptorProto { name: Some((*name).to_owned()), options: None })
            .collect(),
        ..Default::default()
    }
}

/// A field, from `prost(int64, tag = "1")` and the like.
fn field(package: &str, (name, kind, rust): &(&str, &str, &str)) -> FieldDescriptorProto {
    let words: Vec<&str> =
        kind.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let chosen = words.contains(&"oneof");
    // The only choice that is ever made: a deployment is a process.
    let (name, rust) = if chosen { ("process", "ProcessMetadata") } else { (*name, *rust) };
    let of = |name: &str| Some(format!(".{package}.{name}"));
    let inner = rust.rsplit(['<', ' ']).find(|word| word.chars().any(char::is_alphanumeric)).unwrap_or(rust);
    let (kind, type_name) = match words[1] {
        "string" => (Type::String, None),
        "bytes" => (Type::Bytes, None),
        "int32" => (Type::Int32, None),
        "int64" => (Type::Int64, None),
        "bool" => (Type::Bool, None),
        "enumeration" => (Type::Enum, of(words[2])),
        _ => (Type::Message, of(inner.trim_end_matches('>'))),
    };
    let label = if words.contains(&"repeated") { Label::Repeated } else { Label::Optional };
    FieldDescriptorProto {
        name: Some(camel_case(name)),
        json_name: Some(camel_case(name)),
        number: words.last().and_then(|number| number.parse().ok()),
        label: Some(label as i32),
        r#type: Some(kind as i32),
        type_name,
        oneof_index: chosen.then_some(0),
        ..Default::default()
    }
}

fn enumeration(name: &str, values: &[&str]) -> EnumDescriptorProto {
    let value = |(number, name): (usize, &&str)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number as i32),
        options: None,
    };
    EnumDescriptorProto {
        name: Some(name.to_owned()),
        value: values.iter().enumerate().map(value).collect(),
        ..Default::default()
    }
}

/// gateway.proto writes its fields in camel case.
fn camel_case(name: &str) -> String {
    let mut words = name.trim_start_matches("r#").split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| match word.split_at_checked(1) {
        Some((initial, rest)) => text + &initial.to_uppercase() + rest,
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_says_what_the_structs_say() {
        let file = FileDescriptorProto::decode(FILES[0].bytes.as_slice()).expect("a descriptor");
        let described = |name: &str| {
            let message = file.message_type.iter().find(|message| message.name() == name).expect("described");
            let field = |field: &FieldDescriptorProto| {
                (
                    field.name().to_owned(),
                    field.number(),
                    field.r#type(),
                    field.label(),
                    field.type_name().to_owned(),
                )
            };
            message.field.iter().map(field).collect::<Vec<_>>()
        };
        let of = |name: &str| format!(".gateway_protocol.{name}");
        let broker = described("BrokerInfo");
        assert_eq!(broker[0], ("nodeId".into(), 1, Type::Int32, Label::Optional, String::new()));
        assert_eq!(broker[3], ("partitions".into(), 4, Type::Message, Label::Repeated, of("Partition")));
        assert_eq!(described("Partition")[1].4, of("PartitionBrokerRole"));
        assert_eq!(described("Resource")[1].2, Type::Bytes);
        assert_eq!(described("Deployment")[0].4, of("ProcessMetadata"));
        assert_eq!(
            described("CreateProcessInstanceWithResultRequest")[0].4,
            of("CreateProcessInstanceRequest")
        );
        assert_eq!(described("ActivatedJob")[1].0, "type");
    }

    #[test]
    fn every_type_that_is_named_is_described() {
        for file in FILES.iter() {
            let described = FileDescriptorProto::decode(file.bytes.as_slice()).expect("a descriptor");
            let mut names: Vec<String> = Vec::new();
            names.extend(
                described.message_type.iter().map(|message| format!(".{}.{}", file.package, message.name())),
            );
            names.extend(described.enum_type.iter().map(|kind| format!(".{}.{}", file.package, kind.name())));
            let fields = described.message_type.iter().flat_map(|message| &message.field);
            let methods = described.service.iter().flat_map(|service| &service.method);
            let used = fields.filter_map(|field| field.type_name.clone());
            let used = used.chain(
                methods.flat_map(|method| [method.input_type().to_owned(), method.output_type().to_owned()]),
            );
            for name in used {
                assert!(names.contains(&name), "{name} is not described");
            }
        }
    }
}
