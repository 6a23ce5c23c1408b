//! Fleets: several token engines, each as in a process of its own, that share a store. On a paused clock.

mod file;
mod lives;
mod model;
mod outage;
mod property;
mod simulation;
mod world;

use model::Model;
use world::{Reply, World, engines, ok, request, secs, status};
