//! Where requests go: for each scope its addresses and its token.

use std::sync::Arc;

use super::error::Error;
use crate::oauth::{Authorizer, TokenSource};
use crate::route::{Leg, RouteTable};
use crate::scope::Scope;
use crate::upstream::Origin;

/// One address of a scope with the token that it gets, and no other.
#[derive(Clone)]
pub struct Destination {
    /// Where the requests go.
    pub origin: Arc<Origin>,
    /// Where the token that is added comes from.
    pub tokens: Authorizer,
}

/// Routes and destinations; swapped as a whole, so that a request sees one state of things.
pub struct Destinations {
    /// Which request goes to which scope.
    pub routes: RouteTable,
    places: Vec<Destination>,
    /// By scope and leg, where in `places`.
    index: [[Option<usize>; 2]; Scope::ALL.len()],
}

impl Destinations {
    /// No scope has an address yet.
    pub fn new(routes: RouteTable) -> Destinations {
        Destinations { routes, places: Vec::new(), index: Default::default() }
    }

    /// Grants a scope: its requests of this leg go there.
    pub fn insert(&mut self, scope: Scope, leg: Leg, destination: Destination) {
        self.index[scope as usize][leg as usize] = Some(self.places.len());
        self.places.push(destination);
    }

    /// The destination of a scope's leg, with its place in [`Destinations::all`].
    ///
    /// # Errors
    /// When the scope is not granted, or has no address of this leg.
    pub fn find(&self, scope: Scope, leg: Leg) -> Result<(usize, &Destination), Error> {
        let legs = &self.index[scope as usize];
        match legs[leg as usize] {
            Some(at) => Ok((at, &self.places[at])),
            None if legs.iter().any(Option::is_some) => Err(Error::no_address(scope, leg)),
            None => Err(Error::scope_not_granted(scope)),
        }
    }

    /// Each scope that has tokens, with their source.
    pub fn tokens(&self) -> impl Iterator<Item = (Scope, &Arc<TokenSource>)> {
        let place = |scope: Scope| self.index[scope as usize].iter().flatten().next();
        Scope::ALL
            .into_iter()
            .filter_map(move |scope| Some((scope, self.places[*place(scope)?].tokens.source()?)))
    }

    /// All destinations.
    pub fn all(&self) -> &[Destination] {
        &self.places
    }
}
