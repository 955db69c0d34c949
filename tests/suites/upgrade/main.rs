//! Upgrades from the last draft of the wire to this version, and back, on a real broker and the real engine, with programs of
//! both versions at work side by side. The draft's program is built from the history, once.

#[cfg(test)]
mod figures;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod node;
#[cfg(test)]
mod rolling;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod wrong_order;
