//! Once it is warm, writing an event allocates nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use netbreath::cli::FormatName;
use netbreath::plan::Output;
use netbreath::run::Lines;
use netbreath::table::Tables;

mod script;

/// Counts what each thread allocates, so that the test harness does not disturb.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Why ignored: a thread that is ending is none that is measured.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of at least 10,000 events, after a warm-up with the same.
fn allocations(output: &Output) -> u64 {
    let mut events = script::events();
    // Gaps are rare and own text; a name that is no UTF-8 costs JSON a conversion.
    events.retain(|event| match event.body.socket() {
        Some(socket) => {
            socket.owner.as_ref().is_none_or(|owner| str::from_utf8(owner.comm.bytes()).is_ok())
        }
        None => event.body.name() == "clock",
    });
    let mut lines = Lines::new(output);
    let mut tables = Tables::new(1000);
    let mut out = Vec::with_capacity(64 * 1024);
    let mut play = |rounds: u64| {
        for round in 0..rounds {
            out.clear();
            for event in &mut events {
                // A new second now and then: the clock must not allocate either.
                event.at += round * 1_000_000;
                tables.apply(event);
                lines.event(event, &mut out);
            }
        }
    };
    play(100);
    let rounds = 10_000 / script::events().len() as u64 * 2;
    let before = ALLOCATIONS.get();
    play(rounds);
    ALLOCATIONS.get() - before
}

#[test]
fn the_count_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert!(ALLOCATIONS.get() > before);
}

#[test]
fn text_allocates_nothing_per_event() {
    for width in [None, Some(80)] {
        let mut output = script::output(FormatName::Text, width);
        output.style.timezone = jiff::tz::TimeZone::system();
        assert_eq!(allocations(&output), 0);
        output.names = true;
        output.style.colour = true;
        assert_eq!(allocations(&output), 0);
    }
}

#[test]
fn jsonl_allocates_nothing_per_event() {
    assert_eq!(allocations(&script::output(FormatName::Jsonl, None)), 0);
}

#[test]
fn csv_and_json_allocate_nothing_per_event() {
    assert_eq!(allocations(&script::output(FormatName::Csv, None)), 0);
    assert_eq!(allocations(&script::output(FormatName::Json, None)), 0);
}
