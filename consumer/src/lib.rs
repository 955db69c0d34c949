//! Log source, cut, write, commit, sink audit.
