//! Labels that do not lie on each other, on a point, or outside of the picture.
//!
//! Greedy: labels come in order of importance, and each takes the first free place around its
//! point, near ones first. One that finds none is left out: its point keeps its tooltip, and the
//! table under the picture names it.

use crate::lettering::{LINE, width};

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
    taken: Vec<Area>,
}

/// A place for a label, and whether it is so far from its point that a line should join them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) area: Area,
    pub(crate) far: bool,
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
const DISTANCES: [f64; 6] = [8.0, 15.0, 24.0, 36.0, 52.0, 72.0];
/// From here on a label needs a line to its point.
const FAR: f64 = 20.0;

impl Placement {
    pub(crate) fn inside(bounds: Area) -> Self {
        Self { bounds, taken: Vec::new() }
    }

    /// Keeps labels off an area.
    pub(crate) fn block(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Keeps labels off a point of this radius.
    pub(crate) fn block_point(&mut self, x: f64, y: f64, radius: f64) {
        let (left, right) = (x - radius, x + radius);
        self.block(Area { left, right, top: y - radius, bottom: y + radius });
    }

    /// Takes a place for `text` near a point.
    pub(crate) fn take(&mut self, text: &str, x: f64, y: f64) -> Option<Place> {
        let (width, height) = (width(text), LINE);
        for distance in DISTANCES {
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
                if self.is_free(&area) {
                    self.taken.push(area);
                    return Some(Place { area, far: distance > FAR });
                }
            }
        }
        None
    }

    pub(crate) fn is_free(&self, area: &Area) -> bool {
        self.bounds.holds(area) && !self.taken.iter().any(|taken| taken.overlaps(area))
    }
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
        let places: Vec<_> =
            points.iter().filter_map(|&(x, y)| placement.take("Label", x, y)).collect();
        assert!(places.len() > 15, "only {} of 40 found a place", places.len());
        for (index, place) in places.iter().enumerate() {
            assert!(BOUNDS.holds(&place.area));
            assert!(!places[..index].iter().any(|other| other.area.overlaps(&place.area)));
            let on_point = |&(x, y): &(f64, f64)| {
                (place.area.left..place.area.right).contains(&x)
                    && (place.area.top..place.area.bottom).contains(&y)
            };
            assert!(!points.iter().any(on_point));
        }
    }

    #[test]
    fn a_label_that_fits_nowhere_is_left_out() {
        let mut placement = Placement::inside(BOUNDS);
        placement.block(BOUNDS);
        assert_eq!(placement.take("Label", 100.0, 100.0), None);
        let mut placement = Placement::inside(BOUNDS);
        assert_eq!(placement.take(&"wide ".repeat(40), 100.0, 100.0), None);
    }
}
