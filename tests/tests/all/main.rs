//! The promises of the project as a whole: the house, the program over real logs, invariance, bad input, the README.

mod admission;
mod answers;
mod bad_input;
mod bad_jobs;
mod by_hand;
mod catalogue;
mod changes;
mod house;
mod invariance;
mod journeys;
mod live;
mod oracle;
mod patterns;
mod program;
mod readme;
mod references;
mod report;
mod retrain;
mod rows;
mod text_ids;
mod uncomputed;
