//! Cases of the suite `teach`, one file for each command.

use anyhow::Result;

mod lab;
mod tour;

pub type Case = (&'static str, fn() -> Result<()>);

pub const CASES: &[Case] = &[
    ("lab_shows_every_state_transition_and_flag", lab::coverage),
    ("lab_that_is_killed_leaves_nothing", lab::killed),
    ("lab_that_is_interrupted_leaves_nothing", lab::interrupted),
    ("lab_does_not_know_what_is_not_there", lab::unknown),
    ("tour_tells_the_truth_in_english", tour::english),
    ("tour_tells_the_truth_in_japanese", tour::japanese),
    ("tour_takes_another_port_where_its_own_is_taken", tour::taken),
    ("tour_without_privileges_is_a_recording", tour::recorded),
    ("tour_that_is_killed_leaves_no_process", tour::killed),
];
