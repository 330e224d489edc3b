//! Labels that do not lie on each other, on a point, or outside of the picture.
//!
//! Greedy: labels come in order of importance, and each takes the first free place around its
//! point, near ones first. One that finds none is left out: its point keeps its tooltip, and the
//! table under the picture names it.

use crate::lettering::LINE;

/// A rectangle in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left
            && other.right <= self.right
            && self.top <= other.top
            && other.bottom <= self.bottom
    }
}

/// The places that are still free.
pub(crate) struct Placement {
    bounds: Area,
    /// Where no label may lie.
    taken: Vec<Area>,
    /// The labels among them, which no leader may cross.
    labels: Vec<Area>,
}

/// A place for a label, and the end of the line that leads to it when it is far from its point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) area: Area,
    pub(crate) leader: Option<(f64, f64)>,
}

/// From a point to its label: directions, to be multiplied by a distance.
const DIRECTIONS: [(f64, f64); 8] = [
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (0.7, -0.7),
    (0.7, 0.7),
    (-0.7, -0.7),
    (-0.7, 0.7),
];
/// From the rim of a point.
const DISTANCES: [f64; 6] = [4.0, 11.0, 20.0, 32.0, 48.0, 68.0];
/// From here on a label needs a line to its point.
const FAR: f64 = 16.0;
/// How closely a line is covered with small areas.
const STEP: f64 = 3.0;

impl Placement {
    pub(crate) fn inside(bounds: Area) -> Self {
        Self { bounds, taken: Vec::new(), labels: Vec::new() }
    }

    /// Keeps labels off an area.
    pub(crate) fn block(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Keeps labels and their leaders off the label of something else.
    pub(crate) fn block_label(&mut self, area: Area) {
        self.taken.push(area);
        self.labels.push(area);
    }

    /// Keeps labels off a point of this radius.
    pub(crate) fn block_point(&mut self, x: f64, y: f64, radius: f64) {
        let (left, right) = (x - radius, x + radius);
        self.block(Area { left, right, top: y - radius, bottom: y + radius });
    }

    /// Keeps labels off a straight line.
    pub(crate) fn block_line(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.taken.extend(along(from, to));
    }

    /// Takes a place for a text of this width near a point of this radius.
    pub(crate) fn take(&mut self, width: f64, x: f64, y: f64, radius: f64) -> Option<Place> {
        let height = LINE;
        for distance in DISTANCES {
            let far = distance > FAR;
            let distance = distance + radius;
            for (across, down) in DIRECTIONS {
                // The nearest corner or side of the label lies in the direction.
                let left = match across {
                    0.0 => x - width / 2.0,
                    _ if across > 0.0 => x + across * distance,
                    _ => x + across * distance - width,
                };
                let top = match down {
                    0.0 => y - height / 2.0,
                    _ if down > 0.0 => y + down * distance,
                    _ => y + down * distance - height,
                };
                let area = Area { left, top, right: left + width, bottom: top + height };
                let end = (x.clamp(area.left, area.right), y.clamp(area.top, area.bottom));
                let crossed = |spot: Area| self.labels.iter().any(|label| label.overlaps(&spot));
                if !self.is_free(&area) || (far && along((x, y), end).any(crossed)) {
                    continue;
                }
                self.block_label(area);
                if far {
                    self.block_line((x, y), end);
                }
                return Some(Place { area, leader: far.then_some(end) });
            }
        }
        None
    }

    pub(crate) fn is_free(&self, area: &Area) -> bool {
        self.bounds.holds(area) && !self.taken.iter().any(|taken| taken.overlaps(area))
    }
}

/// Small areas that cover a line.
fn along(from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = Area> {
    let (across, down) = (to.0 - from.0, to.1 - from.1);
    let steps = (across.hypot(down) / STEP).ceil().max(1.0);
    (0..=steps as usize).map(move |step| {
        let share = step as f64 / steps;
        let (x, y) = (from.0 + across * share, from.1 + down * share);
        Area { left: x - 1.0, top: y - 1.0, right: x + 1.0, bottom: y + 1.0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Area = Area { left: 0.0, top: 0.0, right: 300.0, bottom: 200.0 };

    #[test]
    fn labels_of_crowded_points_do_not_overlap_and_stay_inside() {
        let mut placement = Placement::inside(BOUNDS);
        let points: Vec<_> =
            (0..40).map(|i| (f64::from(i * 53 % 300), f64::from(i * 37 % 200))).collect();
        points.iter().for_each(|&(x, y)| placement.block_point(x, y, 4.0));
        let labelled: Vec<_> = points
            .iter()
            .filter_map(|&(x, y)| Some(((x, y), placement.take(40.0, x, y, 4.0)?)))
            .collect();
        assert!(labelled.len() > 15, "only {} of 40 found a place", labelled.len());
        for (index, &(point, Place { area, leader })) in labelled.iter().enumerate() {
            assert!(BOUNDS.holds(&area));
            let others = || labelled.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(!others().any(|(_, (_, other))| other.area.overlaps(&area)));
            if let Some(end) = leader {
                let crosses = |spot: Area| others().any(|(_, (_, o))| o.area.overlaps(&spot));
                assert!(!along(point, end).any(crosses), "the leader of label {index}");
            }
            let on_point = |&(x, y): &(f64, f64)| {
                (area.left..area.right).contains(&x) && (area.top..area.bottom).contains(&y)
            };
            assert!(!points.iter().any(on_point));
        }
    }

    #[test]
    fn a_label_that_fits_nowhere_is_left_out() {
        let mut placement = Placement::inside(BOUNDS);
        placement.block(BOUNDS);
        assert_eq!(placement.take(40.0, 100.0, 100.0, 4.0), None);
        let mut placement = Placement::inside(BOUNDS);
        assert_eq!(placement.take(1000.0, 100.0, 100.0, 4.0), None);
    }
}
