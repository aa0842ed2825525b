//! How a series is told from the others: by colour, by the dashes of its line and by its marker.
//!
//! Colours are those of Okabe & Ito (2008), which people see apart who do not tell red from green; on a dark ground
//! they are lighter ones of the same hue.

use std::fmt::Write as _;

use super::svg::length;

/// Light, dark, dashes, marker.
const INKS: [(&str, &str, &str, Shape); 8] = [
    ("#0072b2", "#5ab4f0", "", Shape::Circle),
    ("#d55e00", "#ff9142", "", Shape::Square),
    ("#009e73", "#2ed3a4", "7 3", Shape::Up),
    ("#b65f92", "#e8a5cb", "3 2", Shape::Diamond),
    ("#b97f00", "#f3bd45", "8 3 2 3", Shape::Down),
    ("#3a96cf", "#9cd8ff", "5 2 1 2", Shape::Cross),
    ("#767676", "#a9a9a9", "1.5 2.5", Shape::Ring),
    ("#333333", "#d8d8d8", "10 4", Shape::Circle),
];

/// Levels of a heat map.
pub(super) const N_HEATS: usize = 8;

/// Colour, dashes and marker of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ink(usize);

/// A marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A disc.
    Circle,
    /// A square on its side.
    Square,
    /// A triangle that points up.
    Up,
    /// A triangle that points down.
    Down,
    /// A square on its corner.
    Diamond,
    /// Two strokes.
    Cross,
    /// A circle.
    Ring,
}

impl Ink {
    /// The model as it came.
    pub(crate) const REFERENCE: Self = Self(0);
    /// What it is tuned to.
    pub(crate) const TUNED: Self = Self(1);
    /// Random weights.
    pub(crate) const RANDOM: Self = Self(6);
    /// A level that is no model's.
    pub(crate) const LEVEL: Self = Self(7);

    /// That of the `i`-th series.
    pub(crate) fn of(i: usize) -> Self {
        Self(i % 6)
    }

    /// That of the `i`-th control.
    pub(crate) fn of_control(i: usize) -> Self {
        Self(2 + i % 4)
    }

    /// That of the `i`-th level.
    pub(crate) fn of_level(i: usize) -> Self {
        Self([7, 5, 6][i % 3])
    }

    pub(super) fn class(self) -> String {
        format!("i{}", self.0)
    }

    pub(super) fn shape(self) -> Shape {
        INKS[self.0].3
    }
}

impl Shape {
    /// Its path around a place.
    pub(super) fn path(self, (x, y): (f64, f64), r: f64) -> String {
        let at = |dx: f64, dy: f64| format!("{} {}", length(x + dx * r), length(y + dy * r));
        let closed = |corners: &[(f64, f64)]| {
            let corners: Vec<_> = corners.iter().map(|&(dx, dy)| at(dx, dy)).collect();
            format!("M{}z", corners.join("L"))
        };
        match self {
            Self::Circle | Self::Ring => {
                let (r, two) = (length(r), length(2.0 * r));
                format!(
                    "M{}a{r} {r} 0 1 1 {two} 0a{r} {r} 0 1 1-{two} 0z",
                    at(-1.0, 0.0)
                )
            }
            Self::Square => closed(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Self::Up => closed(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]),
            Self::Down => closed(&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)]),
            Self::Diamond => closed(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
            Self::Cross => format!(
                "M{}L{}M{}L{}",
                at(-0.9, -0.9),
                at(0.9, 0.9),
                at(-0.9, 0.9),
                at(0.9, -0.9)
            ),
        }
    }
}

/// CSS of all classes of marks. A page gets colours as custom properties, light unless the reader's screen is dark
/// and never dark on paper; a file gets light ones as they are, since what draws it may know no more.
pub(crate) fn style_sheet(of_page: bool) -> String {
    let mut css = String::new();
    let ground = [
        ("ink", "#24292f", "#e3e6ea"),
        ("soft", "#57606a", "#a4adb8"),
        ("grid", "#e3e6ea", "#30363d"),
        ("paper", "#ffffff", "#14171b"),
    ];
    let inks: Vec<_> = INKS.iter().enumerate().collect();
    let name = |i: usize| format!("c{i}");
    if of_page {
        let (mut light, mut dark) = (String::new(), String::new());
        for (name, on_light, on_dark) in ground {
            let _ = write!(light, "--{name}:{on_light};");
            let _ = write!(dark, "--{name}:{on_dark};");
        }
        for (i, (on_light, on_dark, ..)) in &inks {
            let _ = write!(light, "--{}:{on_light};", name(*i));
            let _ = write!(dark, "--{}:{on_dark};", name(*i));
        }
        let _ = writeln!(
            css,
            ":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        );
    }
    let colour = |name: &str, light: &str| {
        if of_page {
            format!("var(--{name})")
        } else {
            light.to_owned()
        }
    };
    let [ink, soft, grid, paper] = ground.map(|(name, light, _)| colour(name, light));
    let _ = write!(
        css,
        "text{{fill:{ink};font-size:11px}}.t{{font-size:12.5px;font-weight:600}}.s{{fill:{soft};font-size:10.5px}}.h{{font-size:15px;font-weight:600}}\n\
         .g{{stroke:{grid};fill:none}}.a{{stroke:{soft};fill:none}}.d{{stroke:{soft};fill:none;stroke-dasharray:4 3}}.v{{fill:{ink};fill-opacity:0}}\n\
         .b{{fill-opacity:.16;stroke:none}}.l{{fill:none;stroke-width:1.8;stroke-linejoin:round}}.n{{fill:none;stroke-width:1;stroke-opacity:.55}}.e{{fill:none;stroke-width:1.3}}.r{{fill-opacity:.5}}.o{{fill:{paper};fill-opacity:.85;stroke-width:1}}.k{{stroke-width:.8}}\n"
    );
    for (i, (light, _, dashes, shape)) in inks {
        let colour = colour(&name(i), light);
        let open = match shape {
            Shape::Ring | Shape::Cross => format!(".k.i{i}{{fill:{paper};stroke-width:1.4}}"),
            _ => String::new(),
        };
        let dashes = match *dashes {
            "" => String::new(),
            dashes => format!(".l.i{i}{{stroke-dasharray:{dashes}}}"),
        };
        let _ = writeln!(
            css,
            ".b.i{i},.r.i{i},.k.i{i}{{fill:{colour}}}.l.i{i},.n.i{i},.e.i{i},.r.i{i},.o.i{i},.k.i{i}{{stroke:{colour}}}{dashes}{open}"
        );
    }
    let heat = colour("c0", INKS[0].0);
    for level in 1..=N_HEATS {
        let share = 0.12 + 0.88 * (level as f64 - 1.0) / (N_HEATS as f64 - 1.0);
        let _ = write!(css, ".q{level}{{fill:{heat};fill-opacity:{share:.2}}}");
    }
    css.push('\n');
    css
}
