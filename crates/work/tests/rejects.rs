//! The table of reasons has an end, whatever pools think of (S11).

use midstate_work::Rejects;

#[test]
fn s11_reasons_are_counted_apart_up_to_32_and_then_together() {
    let mut rejects = Rejects::default();
    assert_eq!(rejects.rows(), []);
    for number in 0..1000 {
        rejects.record(&format!("difficulty 0.{number:04} is too low"));
        rejects.record("stale");
    }
    let rows = rejects.rows();
    assert_eq!(rows.len(), 33);
    assert_eq!(rows[0], ("stale", 1000));
    assert_eq!(rows[1], ("difficulty 0.0000 is too low", 1));
    assert_eq!(rows[32], ("other", 1000 - 31));
}
