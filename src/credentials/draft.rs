//! Credentials before they are complete: what a file says, under which name, and what overrides it.

use std::collections::BTreeMap;

use crate::problem::Problem;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::upstream_address::UpstreamAddress;

use super::authorization::Kind;
use super::names::{self, Key};
use super::text::{self, Reading, Variable};
use super::{Credentials, finish, quotes};

/// What a credentials file, or the environment in its place, says.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// By meaning, and there by the name's place: the first that is not empty counts.
    found: BTreeMap<(Key, usize), Variable>,
    pub(super) overrides: BTreeMap<Key, Variable>,
    /// What counts where nothing else is said.
    fallbacks: BTreeMap<Key, Variable>,
    /// The client proves who it is by other means.
    pub(super) secretless: bool,
    /// Names that mean nothing here; one of them may be a slip.
    pub(super) unknown: Vec<Variable>,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// Reads a credentials file's text.
    pub fn parse(text: &str) -> Result<Draft, Vec<Problem>> {
        text::read(text).map(Draft::of)
    }

    /// Reads variables of the process environment. One pair of quotes is taken off: `docker --env-file` leaves it.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Draft {
        let variables = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("ZEEBE_") || name.starts_with("CAMUNDA_"))
            .map(|(name, value)| Variable {
                origin: format!("environment variable {name}"),
                value: Secret::from(quotes::unquoted(&value)),
                name,
            });
        Draft::of(Reading { variables: variables.collect(), warnings: Vec::new() })
    }

    /// Sets what counts more than the file. `name` and `origin` say where it comes from.
    pub fn set(&mut self, key: Key, name: &str, value: Secret, origin: String) {
        self.overrides.insert(key, Variable { name: name.to_owned(), value, origin });
    }

    /// Sets what counts less than everything else.
    pub fn fall_back(&mut self, key: Key, name: &str, value: Secret, origin: String) {
        self.fallbacks.insert(key, Variable { name: name.to_owned(), value, origin });
    }

    /// What counts for a meaning.
    pub fn value(&self, key: Key) -> Option<&str> {
        self.first(key).map(|variable| variable.value.expose().trim())
    }

    /// Whether anything says where tokens are to be had.
    pub fn has_endpoint(&self) -> bool {
        self.first(self.endpoint_key()).is_some()
    }

    /// The client proves who it is by other means than a secret, so that none is missing.
    pub fn want_no_secret(&mut self) {
        self.secretless = true;
    }

    /// The keystore that Java clients sign assertions with, each of its facts with its origin; nothing unless it is
    /// named.
    pub fn keystore(&self) -> impl Iterator<Item = (Key, &Secret, String)> {
        let keys: &[Key] = match self.first(Key::Keystore) {
            Some(_) => &[Key::Keystore, Key::KeystorePassword, Key::KeystoreAlias],
            None => &[],
        };
        let fact =
            |key: &Key| self.first(*key).map(|variable| (*key, &variable.value, variable.shown_origin()));
        keys.iter().filter_map(fact)
    }

    /// Addresses that would be spoken to in plaintext beyond loopback, each with its name and origin.
    pub fn plaintext(&self) -> impl Iterator<Item = (Key, String, String, UpstreamAddress)> {
        let wire =
            |(_, _, address): &(Key, &Variable, UpstreamAddress)| !address.tls && !address.is_loopback();
        let shown = |(key, variable, address): (Key, &Variable, UpstreamAddress)| {
            (key, variable.name.clone(), variable.origin.clone(), address)
        };
        self.addresses().filter(wire).map(shown)
    }

    /// Puts complete credentials together, or says everything that is missing or wrong.
    pub fn finish(self) -> Result<Credentials, Vec<Problem>> {
        finish::finish(self)
    }

    fn of(reading: Reading) -> Draft {
        let mut draft = Draft { warnings: reading.warnings, ..Draft::default() };
        for variable in reading.variables {
            let Some(place) =
                names::lookup(&variable.name).map(|place| names::issuer_or_endpoint(place, &variable))
            else {
                draft.unknown.push(variable);
                continue;
            };
            let (name, origin) = (variable.name.clone(), variable.origin.clone());
            if let Some(earlier) = draft.found.insert(place, variable) {
                draft
                    .warnings
                    .push(format!("{name} is set twice ({}, {origin}): the last counts", earlier.origin));
            }
        }
        draft
    }

    /// What counts for a meaning. Empty values are taken as not set.
    pub(super) fn first(&self, key: Key) -> Option<&Variable> {
        self.overrides.get(&key).or_else(|| self.all(key).next()).or_else(|| self.fallbacks.get(&key))
    }

    /// Which of the two leads to the token endpoint. What counts more decides, and else the one that needs no look.
    pub(super) fn endpoint_key(&self) -> Key {
        let set: [&dyn Fn(&Key) -> bool; 3] =
            [&|key| self.overrides.contains_key(key), &|key| self.all(*key).next().is_some(), &|key| {
                self.fallbacks.contains_key(key)
            }];
        let keys = [Key::TokenEndpoint, Key::Issuer];
        set.iter().find_map(|set| keys.into_iter().find(|key| set(key))).unwrap_or(Key::TokenEndpoint)
    }

    /// The addresses that count and are addresses, the token endpoint's included.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Key, &Variable, UpstreamAddress)> {
        let rest = Scope::ALL.into_iter().map(Key::Address);
        let endpoint = Some(self.endpoint_key()).filter(|_| self.kind() == Kind::OAuth);
        endpoint.into_iter().chain([Key::GrpcAddress]).chain(rest).filter_map(|key| {
            let variable = self.first(key)?;
            let before_query = variable.value.expose().split('?').next()?;
            Some((key, variable, before_query.parse().ok()?))
        })
    }

    /// Everything the file says for a meaning, the preferred name first.
    pub(super) fn all(&self, key: Key) -> impl Iterator<Item = &Variable> {
        self.found
            .range((key, 0)..=(key, usize::MAX))
            .map(|(_, variable)| variable)
            .filter(|variable| !variable.value.expose().trim().is_empty())
    }

    /// Id and secret of one family of names where one has both: a file that was mended by hand under one name
    /// must not be mixed with what is left under another.
    pub(super) fn client(&self) -> (Option<&Variable>, Option<&Variable>) {
        self.pair(Key::ClientId, Key::ClientSecret)
    }

    /// The same for user and password.
    pub(super) fn user(&self) -> (Option<&Variable>, Option<&Variable>) {
        self.pair(Key::Username, Key::Password)
    }

    fn pair(&self, name: Key, secret: Key) -> (Option<&Variable>, Option<&Variable>) {
        let first = (self.first(name), self.first(secret));
        if self.overrides.contains_key(&name) || self.overrides.contains_key(&secret) {
            return first;
        }
        let at = |key: Key, place: usize| {
            self.found.get(&(key, place)).filter(|variable| !variable.value.is_empty())
        };
        (0..names::of(name).count())
            .find_map(|place| Some((Some(at(name, place)?), Some(at(secret, place)?))))
            .unwrap_or(first)
    }

    /// Warns where names of one meaning say different things and nothing overrides them.
    pub(super) fn warn_of_differences(&mut self, key: Key, same: impl Fn(&str, &str) -> bool) {
        if self.overrides.contains_key(&key) {
            return;
        }
        let mut variables = self.all(key);
        let Some(used) = variables.next() else { return };
        let warnings: Vec<String> = variables
            .filter(|other| !same(used.value.expose().trim(), other.value.expose().trim()))
            .map(|other| format!("{} and {} differ: {} counts", used.name, other.name, used.name))
            .collect();
        self.warnings.extend(warnings);
    }
}
