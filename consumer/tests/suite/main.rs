//! The consumer against the real engine and a real journal. One binary: the engine takes its time to start.

#[cfg(test)]
mod archived;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod events;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod producers;
#[cfg(test)]
mod replaced;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod world;
