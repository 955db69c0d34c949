//! The Merkle tree hash of RFC 6962, section 2.1, over leaf hashes that come one by one. Keeps one hash for each level.

use sha2::{Digest, Sha256};

/// A tree that grows at its right end.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    leaves: u64,
    /// Roots of the full subtrees so far, the largest first: one for each bit of `leaves` that is set.
    full: Vec<[u8; 32]>,
}

impl Tree {
    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: [u8; 32]) {
        let mut right = leaf;
        let mut carry = self.leaves;
        while carry & 1 == 1 {
            let Some(left) = self.full.pop() else { break };
            right = node(&left, &right);
            carry >>= 1;
        }
        self.full.push(right);
        self.leaves += 1;
    }

    /// How many leaves it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.leaves
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// Its hash; that of no leaves is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut right_to_left = self.full.iter().rev();
        let Some(last) = right_to_left.next() else {
            return Sha256::digest([]).into();
        };
        right_to_left.fold(*last, |right, left| node(left, &right))
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update([1]);
    hash.chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::rows::leaf_hash;

    /// The definition, word by word.
    fn by_definition(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let mut split = 1;
                while split * 2 < many.len() {
                    split *= 2;
                }
                node(
                    &by_definition(&many[..split]),
                    &by_definition(&many[split..]),
                )
            }
        }
    }

    #[test]
    fn it_is_the_definition_at_every_size() {
        let leaves: Vec<_> = (0..70_u8).map(|n| leaf_hash(&[n])).collect();
        let mut tree = Tree::default();
        for size in 0..leaves.len() {
            assert_eq!(tree.root(), by_definition(&leaves[..size]), "{size} leaves");
            tree.push(leaves[size]);
        }
        assert_eq!(tree.len(), 70);
    }

    /// The tree of the test vectors of Certificate Transparency, which Trillian and the Go `sumdb` share.
    #[test]
    fn it_gives_the_published_roots() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::default();
        assert_eq!(
            hex::encode(tree.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (input, root) in inputs.iter().zip(roots) {
            tree.push(leaf_hash(&hex::decode(input).expect("hex")));
            assert_eq!(hex::encode(tree.root()), root);
        }
    }
}
