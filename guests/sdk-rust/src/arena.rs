//! The allocator of a run: it moves a mark forward and hardly ever back.
//!
//! A run is one fresh instance that lives for milliseconds, so nothing is worth freeing. What matters is that an
//! ordinary run never grows its memory: growing takes a lock of the whole host process, and two cores then wait for
//! each other. So the first 96 KiB come from a static arena, right above the stack; memory grows only past it.
//! The last block alone can grow, shrink and be given back in place, which is what a string or vector being filled
//! needs.

/// A region of addresses, used from the bottom up. Knows addresses only: it never touches the memory.
#[derive(Debug)]
struct Bump {
    next: usize,
    end: usize,
    /// Nothing at this address or above was ever handed out, so memory there is still zero.
    fresh: usize,
}

#[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "only used where the host is Wasm"))]
impl Bump {
    const fn empty() -> Bump {
        Bump { next: 0, end: 0, fresh: 0 }
    }

    /// Adds the region `start..end`. Where it does not continue the present one, what is left of that is given up.
    fn add(&mut self, start: usize, end: usize) {
        if start != self.end {
            self.next = start;
        }
        self.end = end;
    }

    /// The address of a new block, or nothing where it does not fit.
    fn allocate(&mut self, size: usize, align: usize) -> Option<usize> {
        let start = self.next.checked_next_multiple_of(align)?;
        let next = start.checked_add(size)?;
        (next <= self.end).then(|| {
            self.advance(next);
            start
        })
    }

    /// Whether the block is the last one, the only one that can change its size.
    fn is_last(&self, start: usize, size: usize) -> bool {
        start + size == self.next
    }

    /// Changes the size of a block where it stands. Says whether it could.
    fn resize(&mut self, start: usize, size: usize, size_new: usize) -> bool {
        if !self.is_last(start, size) {
            return size_new <= size;
        }
        let fits = start.checked_add(size_new).is_some_and(|next| next <= self.end);
        if fits {
            self.advance(start + size_new);
        }
        fits
    }

    fn advance(&mut self, next: usize) {
        self.next = next;
        self.fresh = self.fresh.max(next);
    }

    /// Takes a block back, if it is the last one.
    fn free(&mut self, start: usize, size: usize) {
        if self.is_last(start, size) {
            self.next = start;
        }
    }

    /// How many bytes are missing for a block of `size` at `start` or later.
    fn missing(&self, start: usize, size: usize, align: usize) -> usize {
        size.saturating_add(align).saturating_sub(self.end.saturating_sub(start))
    }
}

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
mod global {
    use super::Bump;
    use core::alloc::{GlobalAlloc, Layout};
    use core::arch::wasm32::memory_grow;
    use core::cell::UnsafeCell;
    use core::ptr::null_mut;

    const ARENA_BYTES: usize = 96 * 1024;
    const PAGE_BYTES: usize = 64 * 1024;
    /// Growing is dear, so it is done in steps of at least this many pages where the host allows it.
    const GROW_PAGES_MIN: usize = 4;

    #[repr(align(16))]
    struct Arena(UnsafeCell<[u8; ARENA_BYTES]>);

    struct Allocator(UnsafeCell<Bump>);

    // SAFETY: a probe has one thread; the contract has no way to start another.
    unsafe impl Sync for Arena {}
    // SAFETY: as above.
    unsafe impl Sync for Allocator {}

    static ARENA: Arena = Arena(UnsafeCell::new([0; ARENA_BYTES]));

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Bump::empty()));

    impl Allocator {
        #[expect(clippy::mut_from_ref, reason = "one thread, and no caller keeps it")]
        fn bump(&self) -> &mut Bump {
            // SAFETY: one thread, and no method that holds the reference calls another that takes it.
            unsafe { &mut *self.0.get() }
        }
    }

    /// Adds memory for at least `bytes`. Says whether there is any.
    #[cold]
    fn grow(bump: &mut Bump, bytes: usize) -> bool {
        if bump.end == 0 {
            let start = ARENA.0.get() as usize;
            bump.add(start, start + ARENA_BYTES);
            return true;
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        [pages.max(GROW_PAGES_MIN), pages].into_iter().any(|pages| match memory_grow::<0>(pages) {
            usize::MAX => false,
            page => {
                bump.add(page * PAGE_BYTES, (page + pages).saturating_mul(PAGE_BYTES));
                true
            }
        })
    }

    // SAFETY: blocks are disjoint parts of the arena or of memory that only this allocator has grown into; a block
    // is never handed out twice, because `next` only falls back to the start of a block that was given back.
    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let bump = self.bump();
            loop {
                if let Some(start) = bump.allocate(layout.size(), layout.align()) {
                    return start as *mut u8;
                }
                let missing = bump.missing(bump.next, layout.size(), layout.align());
                if !grow(bump, missing) {
                    return null_mut();
                }
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            let fresh = self.bump().fresh;
            // SAFETY: the caller's promise about the layout is the same.
            let block = unsafe { self.alloc(layout) };
            let used = fresh.saturating_sub(block as usize).min(layout.size());
            if !block.is_null() {
                // SAFETY: `used` bytes are at most the block, which was just handed out.
                unsafe { block.write_bytes(0, used) };
            }
            block
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            self.bump().free(block as usize, layout.size());
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size_new: usize) -> *mut u8 {
            let bump = self.bump();
            let (start, size) = (block as usize, layout.size());
            if bump.resize(start, size, size_new) {
                return block;
            }
            let may_follow = bump.is_last(start, size) && grow(bump, bump.missing(start, size_new, 1));
            if may_follow && bump.resize(start, size, size_new) {
                return block;
            }
            // SAFETY: the caller promises that `size_new` is not zero and fits the alignment.
            let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size_new, layout.align())) };
            if !moved.is_null() {
                // SAFETY: both blocks are live and disjoint, and the old one is the shorter.
                unsafe { core::ptr::copy_nonoverlapping(block, moved, size) };
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        Allocate { size: usize, align: usize, gives: Option<usize> },
        Resize { start: usize, size: usize, size_new: usize, gives: bool },
        Free { start: usize, size: usize },
        Add { start: usize, end: usize },
    }
    use Step::*;

    fn check(what: &str, steps: &[Step]) {
        let mut bump = Bump::empty();
        bump.add(100, 200);
        for (at, step) in steps.iter().enumerate() {
            match *step {
                Allocate { size, align, gives } => assert_eq!(bump.allocate(size, align), gives, "{what}: step {at}"),
                Resize { start, size, size_new, gives } => {
                    assert_eq!(bump.resize(start, size, size_new), gives, "{what}: step {at}");
                }
                Free { start, size } => bump.free(start, size),
                Add { start, end } => bump.add(start, end),
            }
        }
    }

    #[test]
    fn blocks_follow_each_other() {
        check(
            "alignment",
            &[
                Allocate { size: 1, align: 1, gives: Some(100) },
                Allocate { size: 4, align: 4, gives: Some(104) },
                Allocate { size: 8, align: 16, gives: Some(112) },
            ],
        );
        check(
            "full",
            &[
                Allocate { size: 101, align: 1, gives: None },
                Allocate { size: 100, align: 1, gives: Some(100) },
                Allocate { size: 1, align: 1, gives: None },
                Allocate { size: 0, align: 1, gives: Some(200) },
            ],
        );
        check(
            "sizes that overflow",
            &[
                Allocate { size: usize::MAX, align: 1, gives: None },
                Allocate { size: usize::MAX - 16, align: 16, gives: None },
                Allocate { size: 1, align: 1 << (usize::BITS - 1), gives: None },
                Allocate { size: 1, align: 1, gives: Some(100) },
            ],
        );
    }

    #[test]
    fn only_the_last_block_changes() {
        check(
            "grow, shrink, free the last",
            &[
                Allocate { size: 10, align: 1, gives: Some(100) },
                Resize { start: 100, size: 10, size_new: 90, gives: true },
                Resize { start: 100, size: 90, size_new: 101, gives: false },
                Resize { start: 100, size: 90, size_new: usize::MAX, gives: false },
                Resize { start: 100, size: 90, size_new: 20, gives: true },
                Allocate { size: 1, align: 1, gives: Some(120) },
                Free { start: 120, size: 1 },
                Allocate { size: 1, align: 1, gives: Some(120) },
            ],
        );
        check(
            "an earlier one stays",
            &[
                Allocate { size: 10, align: 1, gives: Some(100) },
                Allocate { size: 10, align: 1, gives: Some(110) },
                Resize { start: 100, size: 10, size_new: 11, gives: false },
                Resize { start: 100, size: 10, size_new: 5, gives: true },
                Free { start: 100, size: 5 },
                Allocate { size: 1, align: 1, gives: Some(120) },
            ],
        );
    }

    #[test]
    fn regions_continue_or_replace() {
        check(
            "continued",
            &[
                Allocate { size: 90, align: 1, gives: Some(100) },
                Add { start: 200, end: 300 },
                Resize { start: 100, size: 90, size_new: 150, gives: true },
                Allocate { size: 50, align: 1, gives: Some(250) },
            ],
        );
        check(
            "elsewhere",
            &[
                Allocate { size: 90, align: 1, gives: Some(100) },
                Add { start: 1000, end: 1100 },
                Resize { start: 100, size: 90, size_new: 150, gives: false },
                Allocate { size: 1, align: 1, gives: Some(1000) },
            ],
        );
    }

    #[test]
    fn memory_is_fresh_only_once() {
        let mut bump = Bump::empty();
        bump.add(100, 200);
        let check = |bump: &Bump, fresh| assert_eq!(bump.fresh, fresh);
        bump.allocate(10, 1).unwrap();
        check(&bump, 110);
        bump.resize(100, 10, 50);
        check(&bump, 150);
        bump.free(100, 50);
        check(&bump, 150);
        bump.allocate(20, 1).unwrap();
        check(&bump, 150);
        bump.add(1000, 1100);
        bump.allocate(1, 1).unwrap();
        check(&bump, 1001);
    }

    #[test]
    fn what_is_missing_suffices() {
        for (size, align) in [(1, 1), (101, 1), (500, 16), (4096, 4096)] {
            let mut bump = Bump::empty();
            bump.add(100, 200);
            bump.allocate(99, 1).unwrap();
            let missing = bump.missing(bump.next, size, align);
            bump.add(200, 200 + missing);
            assert!(bump.allocate(size, align).is_some(), "{size} bytes at {align}");
        }
    }
}
