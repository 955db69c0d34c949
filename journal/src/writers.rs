//! Which boot wrote which positions: what tells two journals apart that were one once. No I/O.

use crate::boot::Boot;

/// From where on which boot wrote, oldest first; where a boot frame may be lost in damage, nobody is named.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    from: Vec<(u64, Option<Boot>)>,
}

impl Writers {
    /// `boot` has its frame at `position`.
    pub(crate) fn note(&mut self, position: u64, boot: Boot) {
        self.from.push((position, Some(boot)));
    }

    /// What is at `position` can not be read: it may have been a boot frame.
    pub(crate) fn note_damage(&mut self, position: u64) {
        self.from.push((position, None));
    }

    /// Who wrote `position`, if that is known.
    pub(crate) fn at(&self, position: u64) -> Option<Boot> {
        let after = self.from.partition_point(|(from, _)| *from <= position);
        self.from.get(after.checked_sub(1)?)?.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_boot_before_a_position_wrote_it_unless_damage_may_hide_another() {
        let boot = |counter| Boot {
            counter,
            nonce: [7; 8],
        };
        let mut writers = Writers::default();
        writers.note(4, boot(1));
        writers.note_damage(8);
        writers.note(12, boot(3));
        let seen = [3, 4, 7, 8, 11, 12, 99].map(|position| writers.at(position));
        let (one, three) = (Some(boot(1)), Some(boot(3)));
        assert_eq!(seen, [None, one, one, None, None, three, three]);
    }
}
