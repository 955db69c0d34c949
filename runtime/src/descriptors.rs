//! How many files and connections the process may have open: a server takes all that the system grants it, and says where that is
//! too little. Who runs out refuses work that he could do.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to the most that the system grants; says how many that is. Unlimited is the largest number.
pub fn raise() -> std::io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all)?;
    Ok(most())
}

/// The most that the system grants.
#[must_use]
pub fn most() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises the limit, and warns where less is granted than is `needed`.
pub fn raise_for(needed: u64) {
    let granted = match raise() {
        Ok(granted) => granted,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
        }
    };
    if granted < needed {
        tracing::warn!(
            granted,
            needed,
            "fewer open files are granted than the configuration may need: raise the limit (LimitNOFILE, ulimit -n) or lower max_connections"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let few = Rlimit {
            current: Some(64),
            maximum,
        };
        setrlimit(Resource::Nofile, few).unwrap();
        assert_eq!(raise().unwrap(), most());
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
