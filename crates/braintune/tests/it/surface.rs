//! Values of voxels on made-up surfaces.

use std::f32::consts::TAU;
use std::fmt::Write;
use std::path::Path;

use braintune::fmri::{SurfaceMapper, SurfaceMesh};
use braintune::study::surface::{Scale, Surfaces, View, draw};
use ndarray::{Array1, Array2};
use resvg::tiny_skia::Pixmap;

/// `n x m` vertices in a net, `place` of each from 0 to 1 along both sides, with two triangles per mesh.
fn net(n: usize, m: usize, place: impl Fn(f32, f32) -> [f32; 3]) -> SurfaceMesh {
    let at = |i: usize, n: usize| i as f32 / (n - 1) as f32;
    let points = (0..n * m).flat_map(|k| place(at(k / m, n), at(k % m, m)));
    let points = Array2::from_shape_vec((n * m, 3), points.collect()).unwrap();
    let mut triangles = Vec::new();
    for (i, j) in (0..n - 1).flat_map(|i| (0..m - 1).map(move |j| (i, j))) {
        let k = i * m + j;
        triangles.extend([[k, k + 1, k + m], [k + 1, k + m + 1, k + m]]);
    }
    SurfaceMesh::new(points, triangles).unwrap()
}

/// A disc of radius 50.
fn disc(x: f32, y: f32) -> [f32; 3] {
    let (r, angle) = (50.0 * x.sqrt(), TAU * y);
    [r * angle.cos(), r * angle.sin(), 0.0]
}

/// A ball of radius 50, longer to the front.
fn ball(x: f32, y: f32) -> [f32; 3] {
    let (up, around) = (TAU / 2.0 * x, TAU * y);
    let r = 50.0 * up.sin();
    [r * around.cos(), 1.4 * r * around.sin(), 50.0 * up.cos()]
}

/// A voxel for each vertex but those of one kind.
fn one_each(n_vertices: usize, has: impl Fn(usize) -> bool) -> SurfaceMapper {
    let row = |vertex| {
        if has(vertex) {
            vec![(vertex, 1.0)]
        } else {
            vec![]
        }
    };
    let rows: Vec<_> = (0..n_vertices).map(row).collect();
    SurfaceMapper::from_rows(n_vertices, &rows).unwrap()
}

/// Red, green, blue at a part of the width and height.
#[expect(clippy::cast_sign_loss, reason = "parts are 0 to 1")]
fn pixel(picture: &Pixmap, x: f32, y: f32) -> [u8; 3] {
    let at = |part: f32, n: u32| (part * n as f32) as u32;
    let pixel = picture
        .pixel(at(x, picture.width()), at(y, picture.height()))
        .unwrap();
    [pixel.red(), pixel.green(), pixel.blue()]
}

fn read(path: &Path) -> Pixmap {
    Pixmap::decode_png(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_flat_map_shows_values_where_they_lie_and_grey_where_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flat.png");
    let (n, m) = (30, 61);
    let n_vertices = 2 * n * m;
    // The right hemisphere has no voxel in the lower half.
    let lower = |vertex: usize| (vertex % (n * m)) % m > m / 2;
    let mapper = one_each(n_vertices, |vertex| vertex < n * m || !lower(vertex));
    let surfaces = Surfaces::new(net(n, m, disc), net(n, m, disc), View::Flat, mapper).unwrap();
    // Differences: the left hemisphere above 0 on the right side, below 0 on the left.
    let side = |vertex: usize| {
        disc(
            ((vertex % (n * m)) / m) as f32 / (n - 1) as f32,
            (vertex % m) as f32 / (m - 1) as f32,
        )[0]
    };
    let values = Array1::from_shape_fn(n_vertices, |vertex| 0.004 * side(vertex));
    draw(
        values.view(),
        &surfaces,
        Scale::Diverging(None),
        "difference of r",
        &path,
    )
    .unwrap();
    let picture = read(&path);
    assert!(picture.width() > 800 && picture.height() > 400);
    let [r, g, b] = pixel(&picture, 0.05, 0.45);
    assert!(b > r && b > 120, "below 0 is blue: {r} {g} {b}");
    let [r, _, b] = pixel(&picture, 0.43, 0.45);
    assert!(r > b && r > 120, "above 0 is red");
    assert_eq!(pixel(&picture, 0.005, 0.01), [255; 3], "paper");
    assert_eq!(pixel(&picture, 0.75, 0.65), [200; 3], "no voxel is grey");
    assert_ne!(pixel(&picture, 0.65, 0.3), [200; 3]);
    // The same values, the same bytes.
    let first = std::fs::read(&path).unwrap();
    draw(
        values.view(),
        &surfaces,
        Scale::Diverging(None),
        "difference of r",
        &path,
    )
    .unwrap();
    assert!(first == std::fs::read(&path).unwrap());
}

#[test]
fn an_inflated_surface_is_seen_from_its_outside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lateral.png");
    let (n, m) = (50, 101);
    let mapper = one_each(2 * n * m, |_| true);
    let surfaces = Surfaces::new(net(n, m, ball), net(n, m, ball), View::Lateral, mapper).unwrap();
    // Bright on the left of the head (x < 0) and more so to the front: the right hemisphere shows none of it.
    let value = |vertex: usize| {
        let vertex = vertex % (n * m);
        let [x, y, _] = ball(
            (vertex / m) as f32 / (n - 1) as f32,
            (vertex % m) as f32 / (m - 1) as f32,
        );
        if x < 0.0 { 0.2 + 0.2 * y / 70.0 } else { 0.0 }
    };
    let values = Array1::from_shape_fn(2 * n * m, value);
    draw(
        values.view(),
        &surfaces,
        Scale::Sequential(Some(0.4)),
        "mean r",
        &path,
    )
    .unwrap();
    let picture = read(&path);
    let green = |x, y| pixel(&picture, x, y)[1];
    assert!(
        green(0.08, 0.4) > green(0.25, 0.4),
        "the front of the left one is on the left"
    );
    assert!(green(0.25, 0.4) > green(0.42, 0.4));
    assert!(
        green(0.25, 0.4) > green(0.75, 0.4),
        "the other side is not seen"
    );
}

/// A surface file of a net of 40 vertices.
fn write_gifti(path: &Path) {
    let mesh = net(5, 8, disc);
    let (mut points, mut triangles) = (String::new(), String::new());
    for x in mesh.points() {
        write!(points, "{x} ").unwrap();
    }
    for vertex in mesh.triangles().iter().flatten() {
        write!(triangles, "{vertex} ").unwrap();
    }
    let array = |intent: &str, kind: &str, n: usize, data: &str| {
        format!(
            "<DataArray Intent=\"{intent}\" DataType=\"{kind}\" ArrayIndexingOrder=\"RowMajorOrder\" Dimensionality=\"2\" Encoding=\"ASCII\" Endian=\"LittleEndian\" Dim0=\"{n}\" Dim1=\"3\"><Data>{data}</Data></DataArray>"
        )
    };
    let points = array("NIFTI_INTENT_POINTSET", "NIFTI_TYPE_FLOAT32", 40, &points);
    let n = mesh.triangles().len();
    let triangles = array("NIFTI_INTENT_TRIANGLE", "NIFTI_TYPE_INT32", n, &triangles);
    std::fs::write(
        path,
        format!("<GIFTI Version=\"1.0\" NumberOfDataArrays=\"2\">{points}{triangles}</GIFTI>"),
    )
    .unwrap();
}

#[test]
fn surfaces_are_found_beside_a_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let find = || Surfaces::find(dir.path(), "S1");
    assert!(find().unwrap().is_none());
    let folder = dir.path().join("surfaces");
    std::fs::create_dir(&folder).unwrap();
    // 80 vertices, 25 voxels.
    let mapper =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fmri/tests/fixtures/mapper/whole.hdf");
    std::fs::copy(mapper, folder.join("S1.mapper.hdf5")).unwrap();
    write_gifti(&folder.join("lh.inflated.gii"));
    assert!(find().unwrap().is_none(), "one hemisphere is not both");
    write_gifti(&folder.join("rh.inflated.gii"));
    let surfaces = find().unwrap().unwrap();
    assert_eq!(surfaces.n_voxels(), 25);
    assert!(Surfaces::find(dir.path(), "S2").unwrap().is_none());
    let path = dir.path().join("picture.png");
    let refused = |values: &[f32], scale| {
        let values = Array1::from(values.to_vec());
        let error = draw(values.view(), &surfaces, scale, "r", &path).unwrap_err();
        assert!(!path.exists());
        error.to_string()
    };
    assert!(refused(&[0.1; 24], Scale::Sequential(None)).contains("24 values"));
    assert!(refused(&[f32::NAN; 25], Scale::Sequential(None)).contains("nothing to draw"));
    assert!(refused(&[0.1; 25], Scale::Diverging(Some(0.0))).contains("above 0"));
    draw(
        Array1::zeros(25).view(),
        &surfaces,
        Scale::Sequential(None),
        "r < 1 & all",
        &path,
    )
    .unwrap();
    assert!(read(&path).width() > 100);
    // A surface with another number of vertices, and one that is damaged.
    std::fs::copy(folder.join("lh.inflated.gii"), folder.join("lh.flat.gii")).unwrap();
    let other =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fmri/tests/fixtures/surface/ascii.surf.gii");
    std::fs::copy(other, folder.join("rh.flat.gii")).unwrap();
    let message = find().unwrap_err().to_string();
    assert!(
        message.contains("S1.mapper.hdf5") && message.contains("9 on the right"),
        "{message}"
    );
    std::fs::write(folder.join("rh.flat.gii"), "<GIFTI>").unwrap();
    assert!(find().unwrap_err().to_string().contains("rh.flat.gii"));
}
